// Package seal makes and opens everything that hides a recording. (The byte
// layouts follow here; see the issue of formats.)
package seal
