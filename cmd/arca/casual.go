package main

import (
	"os"
	"strings"

	"github.com/spf13/cobra"

	"arca.example/arca/shared/bundle"
	"arca.example/arca/shared/problem"
	"arca.example/arca/shared/record"
)

// casualFlags make a bundle a copy for another case.
type casualFlags struct {
	on                    bool
	court, caseTag, still string
	petitions             []string
}

func (k *casualFlags) add(c *cobra.Command) {
	c.Flags().BoolVar(&k.on, "casual", false, "a certified copy for another case, of what was found by chance")
	c.Flags().StringVar(&k.court, "for-court", "", "with --casual: the court of the other case")
	c.Flags().StringVar(&k.caseTag, "for-case", "", "with --casual: its tag of the other case")
	c.Flags().StringVar(&k.still, "secrecy", "", "with --casual: persists or lifted, of the case that it comes from")
	c.Flags().StringArrayVar(&k.petitions, "petition", nil, "with --casual: FILE with the request for the measure, MEMBER=FILE with that for an extension; may be repeated")
	c.MarkFlagsRequiredTogether("casual", "for-court", "for-case", "secrecy")
}

// into adds what the flags say to what a bundle is made of.
func (k *casualFlags) into(in *bundle.Source) error {
	if !k.on {
		if len(k.petitions) > 0 {
			return problem.New(problem.Invalid, "requests to the judge go into copies for another case: --casual")
		}
		return nil
	}
	if err := oneOf("--secrecy", k.still, "persists", "lifted"); err != nil {
		return err
	}
	in.Casual = &bundle.Casual{Case: k.caseTag, Court: k.court, Secret: k.still == "persists"}
	in.Petitions = map[record.Digest][]byte{}
	for _, text := range k.petitions {
		member, path, named := strings.Cut(text, "=")
		if !named {
			member, path = in.Chain.String(), text
		}
		of, err := memberOf(in, member)
		if err != nil {
			return err
		}
		info, err := os.Stat(path)
		if err == nil && (info.Size() == 0 || info.Size() > bundle.MaxPetition) {
			return problem.New(problem.Invalid, "a request to the judge is a file of 1 byte to 16 MiB: %s", path)
		}
		if err == nil {
			in.Petitions[of], err = os.ReadFile(path)
		}
		if err != nil {
			return problem.Wrap(problem.NotFound, err, "the file cannot be read; check its name and rights: %s", path)
		}
	}
	return nil
}

// memberOf finds a member of the order by its hash or the beginning of it.
func memberOf(in *bundle.Source, text string) (found record.Digest, err error) {
	for _, raw := range in.Order.Members {
		if hash := record.HashStatement(raw); len(text) >= 8 && strings.HasPrefix(hash.String(), strings.ToLower(text)) {
			if found != (record.Digest{}) {
				return found, problem.New(problem.Invalid, "several members of the order begin so; give more digits: %s", text)
			}
			found = hash
		}
	}
	if found.IsZero() {
		return found, problem.New(problem.NotFound, "the order has no such member; arca bundle make names those that lack a request: %s", text)
	}
	return found, nil
}
