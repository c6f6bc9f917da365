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
	granted, err := grants(template, handler)
	if err != nil {
		return nil, err
	}
	all := map[string]bool{}
	for _, g := range granted {
		all[g.action] = true
	}
	return slices.Sorted(maps.Keys(all)), nil
}

// OnKeys gives the KMS actions that the role of a function allows, each with
// the logical name of its key: "kms:Decrypt@RingRoot".
func OnKeys(template []byte, handler string) ([]string, error) {
	granted, err := grants(template, handler)
	if err != nil {
		return nil, err
	}
	all := map[string]bool{}
	for _, g := range granted {
		if strings.HasPrefix(g.action, "kms:") {
			all[g.action+"@"+g.resource] = true
		}
	}
	return slices.Sorted(maps.Keys(all)), nil
}

// ByKeyPolicies gives the same from the keys' side: what the key policies let
// the role of a function do, whatever the role itself says. KMS demands both.
func ByKeyPolicies(template []byte, handler string) ([]string, error) {
	t, err := local.Parse(template)
	if err != nil {
		return nil, err
	}
	all := map[string]bool{}
	resources, _ := t["Resources"].(map[string]any)
	for name, r := range resources {
		if local.Dig(r, "Type") != "AWS::KMS::Key" {
			continue
		}
		statements, _ := local.Dig(r, "Properties", "KeyPolicy", "Statement").([]any)
		for _, s := range statements {
			if !slices.ContainsFunc(subs(local.Dig(s, "Condition", "ArnEquals", "aws:PrincipalArn")), func(arn string) bool {
				return strings.HasSuffix(arn, ":role/arca-${Party}-"+handler)
			}) {
				continue
			}
			for _, a := range local.Texts(local.Dig(s, "Action")) {
				all[a+"@"+name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(all)), nil
}

// subs gives the texts of one !Sub or of a list of them.
func subs(v any) (all []string) {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	for _, item := range list {
		if x, ok := item.(local.Intrinsic); ok && x.Name == "Sub" {
			all = append(all, local.Texts(x.Arg)...)
		}
	}
	return all
}

// grant is one action on one resource, by the resource's logical name.
type grant struct{ action, resource string }

func grants(template []byte, handler string) ([]grant, error) {
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

func actions(policies any) (all []grant, err error) {
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
				all = append(all, grant{a, logical(local.Dig(s, "Resource"))})
			}
		}
	}
	if len(all) == 0 {
		return nil, errors.New("the role allows nothing that can be read from the template")
	}
	return all, nil
}

// logical is the resource that !GetAtt X.Arn names, or "" for other forms.
func logical(v any) string {
	x, ok := v.(local.Intrinsic)
	pair, _ := x.Arg.([]any)
	if !ok || x.Name != "GetAtt" || len(pair) != 2 {
		return ""
	}
	name, _ := pair[0].(string)
	return name
}
