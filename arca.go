// Package arca holds the template: the map of every function, trigger and
// right. It is embedded so that the local parties and the tests read the same
// bytes that are deployed.
package arca

import _ "embed"

// Template is template.yaml.
//
//go:embed template.yaml
var Template []byte
