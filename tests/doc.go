// Package tests holds Arca as a whole against what it promises: whole local
// installations, every handler behind its gateway, with the real collector,
// mirror and reader as clients. It has no code that a product uses.
//
// Tests named Campaign look at very many cases. By default they take a sample
// of them; with ARCA_CAMPAIGN=full they take all. Every one prints its seed, and
// ARCA_SEED=n repeats it. Each campaign also runs against a weakened twin, in which the
// defence is missing that it is about, and must notice.
package tests
