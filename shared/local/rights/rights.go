// Package rights holds what a function's role allows against what the function
// calls. Missing and unused are both wrong: the first fails in production, the
// second is a right that an intruder would have for nothing.
//
// actions.json is the committed table from an operation of the SDK to the IAM
// actions that it needs (Service Authorization Reference of each service). A
// transaction counts as its members, presigning as the operation that is
// signed. "platform" lists actions that Lambda itself uses with the function's
// role, "answers" actions that change what an operation answers rather than
// whether it may run. Statements conditioned on kms:ViaService are used by
// DynamoDB and S3, not by calls, and are left out.
//
// A reader trusts the table; a call that is not in it is an error.
package rights

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"arca.example/arca/shared/local"
)

//go:embed actions.json
var tableJSON []byte

var table = func() (t struct {
	Calls    map[string][]string `json:"calls"`
	Platform map[string]string   `json:"platform"`
	Answers  map[string]string   `json:"answers"`
}) {
	if err := json.Unmarshal(tableJSON, &t); err != nil {
		// The file is part of the program; a test reads it.
		panic("rights: actions.json: " + err.Error())
	}
	return t
}()

// Check compares recorded calls (package calls) with the actions of a role
// (Of). It names every action that is missing and every one that is unused.
func Check(calls, granted []string) error {
	needed := map[string]bool{}
	var wrong []error
	for _, call := range calls {
		actions, known := table.Calls[call]
		if !known {
			wrong = append(wrong, fmt.Errorf("the call %s is not in actions.json: add it with its IAM actions", call))
		}
		for _, a := range actions {
			needed[a] = true
		}
	}
	for _, a := range slices.Sorted(maps.Keys(needed)) {
		if !slices.Contains(granted, a) {
			wrong = append(wrong, fmt.Errorf("missing: the function needs %s and its role does not allow it", a))
		}
	}
	for _, a := range granted {
		_, platform := table.Platform[a]
		_, answers := table.Answers[a]
		if !needed[a] && !platform && !(answers && needed["s3:GetObject"]) {
			wrong = append(wrong, fmt.Errorf("unused: the role allows %s and the function never needs it", a))
		}
	}
	return errors.Join(wrong...)
}

// Of gives the actions that the role of a function (Handler name) allows,
// sorted and without repetition.
func Of(template []byte, handler string) ([]string, error) {
	t, err := local.Parse(template)
	if err != nil {
		return nil, err
	}
	resources, _ := t["Resources"].(map[string]any)
	for _, r := range resources {
		properties := local.Dig(r, "Properties")
		if local.Dig(r, "Type") != "AWS::Serverless::Function" || local.Dig(properties, "Handler") != handler {
			continue
		}
		role, ok := local.Dig(properties, "Role").(local.Intrinsic)
		if !ok {
			return nil, fmt.Errorf("the function %s has no role of its own", handler)
		}
		pair, _ := role.Arg.([]any)
		if role.Name != "GetAtt" || len(pair) != 2 {
			return nil, fmt.Errorf("the role of %s must be !GetAtt of a role", handler)
		}
		name, _ := pair[0].(string)
		return actions(local.Dig(resources, name, "Properties", "Policies"))
	}
	return nil, fmt.Errorf("the template has no function %s", handler)
}

func actions(policies any) ([]string, error) {
	all := map[string]bool{}
	list, _ := policies.([]any)
	for _, policy := range list {
		statements, _ := local.Dig(policy, "PolicyDocument", "Statement").([]any)
		for _, s := range statements {
			if local.Dig(s, "Effect") != "Allow" || local.Dig(s, "Condition", "StringEquals", "kms:ViaService") != nil {
				continue
			}
			for _, a := range local.Texts(local.Dig(s, "Action")) {
				if strings.Contains(a, "*") {
					return nil, fmt.Errorf("the action %s has a wildcard", a)
				}
				all[a] = true
			}
		}
	}
	if len(all) == 0 {
		return nil, errors.New("the role allows nothing that can be read from the template")
	}
	return slices.Sorted(maps.Keys(all)), nil
}
