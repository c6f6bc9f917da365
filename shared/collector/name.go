package collector

import (
	"strings"

	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

// checkFileName refuses names that are more than a name: a reader may use it for a file. A path is never taken for a
// name; Describe takes its last element.
func checkFileName(name string) error {
	if err := record.CheckName(name); err != nil {
		return problem.New(problem.Invalid, "the recording's name has line breaks, control characters or more than 200 bytes; give another with --name")
	}
	if name == "." || name == ".." || strings.ContainsAny(name, `/\`) {
		return problem.New(problem.Invalid, "the recording's name holds a path; give a plain name with --name")
	}
	return nil
}
