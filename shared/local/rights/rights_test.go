package rights

import (
	"slices"
	"strings"
	"testing"

	arca "arca.example/arca"
	"arca.example/arca/shared/local"
)

func TestMissingAndUnusedBothFail(t *testing.T) {
	calls := []string{"dynamodb:BatchGetItem", "dynamodb:TransactWriteItems", "dynamodb:TransactWriteItems/Put", "s3:HeadObject"}
	granted := []string{"dynamodb:BatchGetItem", "dynamodb:PutItem", "logs:PutLogEvents", "s3:GetObject", "s3:ListBucket"}
	if err := Check(calls, granted); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		calls, granted []string
		want           string
	}{
		{append(calls, "dynamodb:TransactWriteItems/Delete"), granted, "missing: the function needs dynamodb:DeleteItem"},
		{calls, append(granted, "dynamodb:DeleteItem"), "unused: the role allows dynamodb:DeleteItem"},
		{calls[:3], granted, "unused: the role allows s3:ListBucket"},
		{calls, granted[:3], "missing: the function needs s3:GetObject"},
		{append(calls, "s3:CopyObject"), granted, "s3:CopyObject is not in actions.json"},
	} {
		if err := Check(c.calls, c.granted); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}

func TestEveryRoleCanBeReadAndUsesOnlyTheTable(t *testing.T) {
	var known []string
	for _, actions := range table.Calls {
		known = append(known, actions...)
	}
	for party, functions := range map[string]int{"vault": 6, "court": 9} {
		plan, err := local.Load(arca.Template, party, map[string]string{"DomainName": "a.example", "CertificateArn": "arn:x", "Trust": "t", "LogOrigin": "l"})
		if err != nil || len(plan.Functions) != functions {
			t.Fatal(err)
		}
		for _, f := range plan.Functions {
			granted, err := Of(arca.Template, f.Name)
			if err != nil {
				t.Errorf("%s: %v", f.Name, err)
			}
			for _, a := range granted {
				_, platform := table.Platform[a]
				if !platform && !slices.Contains(known, a) {
					t.Errorf("%s: no call in actions.json needs %s", f.Name, a)
				}
			}
		}
	}
	granted, _ := Of(arca.Template, "ledger")
	if !slices.Contains(granted, "lambda:InvokeFunction") || slices.Contains(granted, "kms:Decrypt") {
		t.Errorf("ledger: %v", granted)
	}
	if _, err := Of(arca.Template, "nobody"); err == nil {
		t.Error("a function that is not there has rights")
	}
}

// KMS asks the role and the key: a right that only one of them gives is none, or is one too many.
func TestRolesAndKeyPoliciesAgree(t *testing.T) {
	checked := 0
	for _, party := range []string{"vault", "court"} {
		plan, err := local.Load(arca.Template, party, map[string]string{"DomainName": "a.example", "CertificateArn": "arn:x", "Trust": "t", "LogOrigin": "l"})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range plan.Functions {
			byRole, err := OnKeys(arca.Template, f.Name)
			if err != nil {
				t.Fatal(err)
			}
			byKeys, err := ByKeyPolicies(arca.Template, f.Name)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(byRole, byKeys) {
				t.Errorf("%s: its role allows %v, the keys allow it %v", f.Name, byRole, byKeys)
			}
			checked += len(byRole)
		}
	}
	if checked < 10 {
		t.Errorf("only %d rights on keys were compared", checked)
	}
}

func TestOnlyPeopleMakesAKeyholdersKeys(t *testing.T) {
	for _, name := range []string{"orders", "notes", "units", "requests", "release", "people", "lapse", "report", "destroy"} {
		granted, err := OnKeys(arca.Template, name)
		if err != nil {
			t.Fatal(err)
		}
		if may := slices.Contains(granted, "kms:Encrypt@BaseRoot"); may != (name == "people") {
			t.Errorf("%s may encrypt under the base root: %v", name, may)
		}
	}
}

// The weakened twin: the template as it was when notes could not use the ring root.
func TestAKeyPolicyThatForgetsAFunctionIsSeen(t *testing.T) {
	broken := strings.ReplaceAll(string(arca.Template), "role/arca-${Party}-notes\n", "role/arca-${Party}-other\n")
	byKeys, err := ByKeyPolicies([]byte(broken), "notes")
	if err != nil || len(byKeys) > 0 {
		t.Fatalf("%v %v", byKeys, err)
	}
}
