// Package lint holds a template against Arca's own rules.
//
// General linters accept templates that are correct and not safe: a function
// with another's role, a table without recovery. The rules here say what every
// template of Arca must have. They are read literally: what a rule cannot find
// is a finding, so that an intrinsic in the wrong place fails and does not pass
// unseen. testdata/broken has a template for each rule that only it rejects.
package lint

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"arca.example/arca/shared/local"
)

// Finding is one violation.
type Finding struct {
	Rule     string
	Resource string
	Text     string
}

func (f Finding) String() string { return f.Rule + ": " + f.Resource + ": " + f.Text }

// Rules are the names of all rules, with what each demands.
var Rules = map[string]string{
	"own-role":     "every function has a role that no other function has and that only Lambda assumes",
	"no-managed":   "a role has inline policies only; managed policies allow more than is used",
	"no-wildcard":  "a role names its actions and resources; a wildcard stands only for the objects under one prefix of the bucket",
	"own-log":      "every function has a log group of its own with a retention",
	"dead-letter":  "whatever runs a function without waiting for it has a dead-letter queue",
	"arm64":        "every function runs on arm64",
	"package":      "every function is the one archive on provided.al2023",
	"table":        "a table is on demand, recoverable, protected from deletion, encrypted with KMS and retained",
	"bucket":       "a bucket is versioned, lockable, closed to the public, encrypted, retained, and tells EventBridge",
	"bucket-tls":   "a bucket refuses requests without TLS",
	"routes":       "no two functions serve one route in one deployment",
	"party":        "every function and what belongs to it exists under one of the conditions Vault and Keyholder",
	"alarms":       "errors and throttles of every function and the depth of every queue raise an alarm that somebody gets",
	"queue":        "a queue is encrypted and keeps messages for two weeks",
	"key":          "a key is retained and rotates, unless its material is imported",
	"access-log":   "an API logs routes, never paths, queries or addresses",
	"names":        "no two functions have one handler, and a function is named after its handler",
	"public-api":   "an API answers under its own domain name only",
	"api-throttle": "an API limits its rate",
}

type template struct {
	root      local.Template
	resources map[string]any
	found     []Finding
}

// Check gives all findings, sorted.
func Check(raw []byte) ([]Finding, error) {
	root, err := local.Parse(raw)
	if err != nil {
		return nil, err
	}
	t := &template{root: root}
	t.resources, _ = root["Resources"].(map[string]any)
	t.functions()
	t.each("AWS::IAM::Role", t.role)
	t.each("AWS::DynamoDB::Table", t.table)
	t.each("AWS::S3::Bucket", t.bucket)
	t.each("AWS::SQS::Queue", t.queue)
	t.each("AWS::KMS::Key", t.key)
	t.each("AWS::Serverless::HttpApi", t.api)
	slices.SortFunc(t.found, func(a, b Finding) int { return strings.Compare(a.String(), b.String()) })
	return t.found, nil
}

func (t *template) report(rule, resource, format string, args ...any) {
	t.found = append(t.found, Finding{rule, resource, fmt.Sprintf(format, args...)})
}

// demand reports unless ok.
func (t *template) demand(ok bool, rule, resource, text string) {
	if !ok {
		t.report(rule, resource, "%s", text)
	}
}

func (t *template) of(kind string) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(t.resources)) {
		if local.Dig(t.resources, name, "Type") == kind {
			names = append(names, name)
		}
	}
	return names
}

func (t *template) each(kind string, check func(name string, resource any)) {
	for _, name := range t.of(kind) {
		check(name, t.resources[name])
	}
}

// property looks at the function first and at Globals second, as SAM does.
func (t *template) property(function any, keys ...string) any {
	if v := local.Dig(function, append([]string{"Properties"}, keys...)...); v != nil {
		return v
	}
	return local.Dig(map[string]any(t.root), append([]string{"Globals", "Function"}, keys...)...)
}

// target is the resource that Ref or GetAtt names, or "".
func target(v any, attribute string) string {
	i, ok := v.(local.Intrinsic)
	if !ok {
		return ""
	}
	if name, isName := i.Arg.(string); i.Name == "Ref" && isName && attribute == "" {
		return name
	}
	if pair, isPair := i.Arg.([]any); i.Name == "GetAtt" && isPair && len(pair) == 2 && pair[1] == attribute {
		name, _ := pair[0].(string)
		return name
	}
	return ""
}

// functions checks each function and what the functions may not share.
func (t *template) functions() {
	roles, logs, handlers, routes := map[string]string{}, map[string]string{}, map[string]string{}, map[string]string{}
	for _, name := range t.of("AWS::Serverless::Function") {
		f := t.resources[name]
		role := target(local.Dig(f, "Properties", "Role"), "Arn")
		t.unique("own-role", name, role, "AWS::IAM::Role", roles)
		t.demand(equalTexts(trusted(t.resources[role]), "lambda.amazonaws.com"), "own-role", name, "its role must be assumed by Lambda and by nobody else")
		group := target(local.Dig(f, "Properties", "LoggingConfig", "LogGroup"), "")
		t.unique("own-log", name, group, "AWS::Logs::LogGroup", logs)
		t.demand(local.Dig(t.resources[group], "Properties", "RetentionInDays") != nil, "own-log", name, "its log group needs RetentionInDays")
		t.demand(equalTexts(t.property(f, "Architectures"), "arm64"), "arm64", name, "Architectures must be [arm64]")
		t.demand(t.property(f, "Runtime") == "provided.al2023" && t.property(f, "CodeUri") == "dist/arca.zip", "package", name, "Runtime must be provided.al2023 and CodeUri dist/arca.zip")
		t.party(name, f, role, group)
		t.name(name, f, handlers)
		t.routes(name, f, routes)
		t.deadLetters(name, f, role)
		for _, metric := range []string{"Errors", "Throttles"} {
			t.demand(t.alarm("AWS/Lambda", metric, name), "alarms", name, "needs an alarm on "+metric+" with an action")
		}
	}
}

// unique demands that owned is of a kind and belongs to one function only.
func (t *template) unique(rule, function, owned, kind string, owners map[string]string) {
	if owned == "" || local.Dig(t.resources[owned], "Type") != kind {
		t.report(rule, function, "must name a resource of type %s", kind)
		return
	}
	if other, taken := owners[owned]; taken {
		t.report(rule, function, "%s belongs to %s already", owned, other)
	}
	owners[owned] = function
}

func (t *template) party(name string, f any, owned ...string) {
	condition := local.Dig(f, "Condition")
	if condition != "Vault" && condition != "Keyholder" {
		t.report("party", name, "needs the condition Vault or Keyholder")
		return
	}
	for _, o := range owned {
		t.demand(t.resources[o] == nil || local.Dig(t.resources[o], "Condition") == condition, "party", name, o+" must have the same condition")
	}
}

func (t *template) name(name string, f any, handlers map[string]string) {
	handler, _ := local.Dig(f, "Properties", "Handler").(string)
	if other, taken := handlers[handler]; taken {
		t.report("names", name, "has the handler of %s", other)
	}
	handlers[handler] = name
	sub, _ := local.Dig(f, "Properties", "FunctionName").(local.Intrinsic)
	t.demand(handler != "" && sub.Name == "Sub" && sub.Arg == "arca-${Party}-"+handler, "names", name, "FunctionName must be !Sub arca-${Party}-HANDLER")
}

func (t *template) routes(name string, f any, routes map[string]string) {
	events, _ := local.Dig(f, "Properties", "Events").(map[string]any)
	for _, e := range slices.Sorted(maps.Keys(events)) {
		if local.Dig(events, e, "Type") != "HttpApi" {
			continue
		}
		route := fmt.Sprint(local.Dig(f, "Condition"), " ", local.Dig(events, e, "Properties", "Method"), " ", shape(local.Dig(events, e, "Properties", "Path")))
		if other, taken := routes[route]; taken {
			t.report("routes", name, "%s is %s's too", route, other)
		}
		routes[route] = name
		t.demand(local.Dig(t.resources, target(local.Dig(events, e, "Properties", "ApiId"), ""), "Type") == "AWS::Serverless::HttpApi", "routes", name, e+" must name an HttpApi of this template")
	}
}

var pathName = regexp.MustCompile(`\{[^}]*\}`)

// shape forgets the names of path parameters: two routes that differ only in them are one.
func shape(path any) string { return pathName.ReplaceAllString(fmt.Sprint(path), "{}") }

// deadLetters looks at all three ways in which a function runs and nobody waits.
func (t *template) deadLetters(name string, f any, role string) {
	asynchronous := false
	events, _ := local.Dig(f, "Properties", "Events").(map[string]any)
	for _, e := range slices.Sorted(maps.Keys(events)) {
		if local.Dig(events, e, "Type") == "HttpApi" {
			continue
		}
		asynchronous = true
		t.demand(t.isQueue(local.Dig(events, e, "Properties", "DeadLetterConfig", "Arn")), "dead-letter", name, e+" needs DeadLetterConfig with the ARN of a queue")
	}
	for _, r := range t.of("AWS::IAM::Role") {
		for _, s := range statements(t.resources[r]) {
			asynchronous = asynchronous || slices.Contains(local.Texts(local.Dig(s, "Action")), "lambda:InvokeFunction") && target(local.Dig(s, "Resource"), "Arn") == name
		}
	}
	if !asynchronous {
		return
	}
	queue := local.Dig(f, "Properties", "DeadLetterQueue")
	t.demand(local.Dig(queue, "Type") == "SQS" && t.isQueue(local.Dig(queue, "TargetArn")), "dead-letter", name, "runs without anybody waiting and needs DeadLetterQueue")
	if t.resources[role] == nil {
		return // own-role says so already
	}
	may := slices.ContainsFunc(statements(t.resources[role]), func(s any) bool {
		return slices.Contains(local.Texts(local.Dig(s, "Action")), "sqs:SendMessage")
	})
	t.demand(may, "dead-letter", name, "its role must allow sqs:SendMessage to the queue")
}

func (t *template) isQueue(v any) bool {
	return local.Dig(t.resources, target(v, "Arn"), "Type") == "AWS::SQS::Queue"
}

// alarm looks for an alarm with an action on a metric of a resource.
func (t *template) alarm(namespace, metric, resource string) bool {
	return slices.ContainsFunc(t.of("AWS::CloudWatch::Alarm"), func(name string) bool {
		p := local.Dig(t.resources, name, "Properties")
		dimensions, _ := local.Dig(p, "Dimensions").([]any)
		actions, _ := local.Dig(p, "AlarmActions").([]any)
		return local.Dig(p, "Namespace") == namespace && local.Dig(p, "MetricName") == metric && len(dimensions) == 1 && len(actions) > 0 &&
			(target(local.Dig(dimensions[0], "Value"), "") == resource || target(local.Dig(dimensions[0], "Value"), "QueueName") == resource)
	})
}

func statements(role any) (all []any) {
	policies, _ := local.Dig(role, "Properties", "Policies").([]any)
	for _, p := range policies {
		list, _ := local.Dig(p, "PolicyDocument", "Statement").([]any)
		all = append(all, list...)
	}
	return all
}

// trusted gives the services that may assume a role; anybody else spoils the list.
func trusted(role any) any {
	list, _ := local.Dig(role, "Properties", "AssumeRolePolicyDocument", "Statement").([]any)
	if len(list) != 1 {
		return nil
	}
	principal, _ := local.Dig(list[0], "Principal").(map[string]any)
	if len(principal) != 1 {
		return nil
	}
	return principal["Service"]
}

func equalTexts(v any, want ...string) bool { return slices.Equal(local.Texts(v), want) }

// underPrefix is the only wildcard: the objects of one kind in the bucket, or in one that a parameter names.
var underPrefix = regexp.MustCompile(`^(\$\{[A-Za-z]+\.Arn\}|arn:\$\{AWS::Partition\}:s3:::\$\{[A-Za-z]+\})(/[a-z]+)+/\*$`)

func (t *template) role(name string, r any) {
	t.demand(local.Dig(r, "Properties", "ManagedPolicyArns") == nil, "no-managed", name, "ManagedPolicyArns must go")
	all := statements(r)
	t.demand(len(all) > 0, "no-wildcard", name, "has no statements that can be read")
	for _, s := range all {
		actions := local.Texts(local.Dig(s, "Action"))
		t.demand(local.Dig(s, "Effect") == "Allow" && len(actions) > 0 && local.Dig(s, "NotAction") == nil, "no-wildcard", name, "every statement must allow actions by name")
		for _, a := range actions {
			t.demand(!strings.ContainsAny(a, "*?"), "no-wildcard", name, "the action "+a+" has a wildcard")
		}
		resources, isList := local.Dig(s, "Resource").([]any)
		if !isList {
			resources = []any{local.Dig(s, "Resource")}
		}
		for _, res := range resources {
			i, _ := res.(local.Intrinsic)
			sub, _ := i.Arg.(string)
			t.demand(target(res, "Arn") != "" || i.Name == "Sub" && underPrefix.MatchString(sub), "no-wildcard", name, "a resource must be !GetAtt NAME.Arn, or objects under one prefix")
		}
	}
}

func retained(r any) bool {
	return local.Dig(r, "DeletionPolicy") == "Retain" && local.Dig(r, "UpdateReplacePolicy") == "Retain"
}

func (t *template) table(name string, r any) {
	p := local.Dig(r, "Properties")
	t.demand(retained(r), "table", name, "needs DeletionPolicy and UpdateReplacePolicy Retain")
	t.demand(local.Dig(p, "BillingMode") == "PAY_PER_REQUEST", "table", name, "needs BillingMode PAY_PER_REQUEST")
	t.demand(local.Dig(p, "DeletionProtectionEnabled") == true, "table", name, "needs DeletionProtectionEnabled")
	t.demand(local.Dig(p, "PointInTimeRecoverySpecification", "PointInTimeRecoveryEnabled") == true, "table", name, "needs point-in-time recovery")
	t.demand(local.Dig(p, "SSESpecification", "SSEEnabled") == true && local.Dig(p, "SSESpecification", "SSEType") == "KMS", "table", name, "needs encryption with KMS")
}

func (t *template) bucket(name string, r any) {
	p := local.Dig(r, "Properties")
	t.demand(retained(r), "bucket", name, "needs DeletionPolicy and UpdateReplacePolicy Retain")
	t.demand(local.Dig(p, "VersioningConfiguration", "Status") == "Enabled", "bucket", name, "needs versioning")
	t.demand(local.Dig(p, "ObjectLockEnabled") == true, "bucket", name, "needs ObjectLockEnabled")
	t.demand(local.Dig(p, "NotificationConfiguration", "EventBridgeConfiguration", "EventBridgeEnabled") == true, "bucket", name, "needs notifications through EventBridge")
	for _, block := range []string{"BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"} {
		t.demand(local.Dig(p, "PublicAccessBlockConfiguration", block) == true, "bucket", name, "needs "+block)
	}
	rules, _ := local.Dig(p, "BucketEncryption", "ServerSideEncryptionConfiguration").([]any)
	t.demand(len(rules) == 1 && local.Dig(rules[0], "ServerSideEncryptionByDefault", "SSEAlgorithm") == "aws:kms", "bucket", name, "needs encryption with KMS")
	t.demand(t.refusesPlain(name), "bucket-tls", name, "needs a policy that denies all actions without TLS")
}

func (t *template) refusesPlain(bucket string) bool {
	return slices.ContainsFunc(t.of("AWS::S3::BucketPolicy"), func(name string) bool {
		p := local.Dig(t.resources, name, "Properties")
		list, _ := local.Dig(p, "PolicyDocument", "Statement").([]any)
		return target(local.Dig(p, "Bucket"), "") == bucket && slices.ContainsFunc(list, func(s any) bool {
			return local.Dig(s, "Effect") == "Deny" && local.Dig(s, "Principal") == "*" && local.Dig(s, "Action") == "s3:*" &&
				local.Dig(s, "Condition", "Bool", "aws:SecureTransport") == "false" && len(listOf(local.Dig(s, "Resource"))) == 2
		})
	})
}

func listOf(v any) []any {
	list, _ := v.([]any)
	return list
}

func (t *template) queue(name string, r any) {
	p := local.Dig(r, "Properties")
	t.demand(local.Dig(p, "SqsManagedSseEnabled") == true || local.Dig(p, "KmsMasterKeyId") != nil, "queue", name, "needs encryption")
	t.demand(local.Dig(p, "MessageRetentionPeriod") == int64(1209600), "queue", name, "needs MessageRetentionPeriod 1209600")
	t.demand(t.alarm("AWS/SQS", "ApproximateNumberOfMessagesVisible", name), "alarms", name, "needs an alarm on its depth with an action")
}

func (t *template) key(name string, r any) {
	p := local.Dig(r, "Properties")
	t.demand(retained(r), "key", name, "needs DeletionPolicy and UpdateReplacePolicy Retain")
	t.demand(local.Dig(p, "EnableKeyRotation") == true || local.Dig(p, "Origin") == "EXTERNAL", "key", name, "needs EnableKeyRotation")
}

func (t *template) api(name string, r any) {
	p := local.Dig(r, "Properties")
	format, _ := local.Dig(p, "AccessLogSettings", "Format").(string)
	t.demand(strings.Contains(format, "$context.routeKey"), "access-log", name, "must log the route")
	for _, leak := range []string{"$context.path", "$context.identity", "$context.domainName", "queryString", "$context.error.message"} {
		t.demand(!strings.Contains(format, leak), "access-log", name, "must not log "+leak)
	}
	t.demand(local.Dig(p, "DisableExecuteApiEndpoint") == true && local.Dig(p, "Domain", "SecurityPolicy") == "TLS_1_2", "public-api", name, "needs its own domain with TLS 1.2 and DisableExecuteApiEndpoint")
	limit, _ := local.Dig(p, "DefaultRouteSettings", "ThrottlingRateLimit").(int64)
	t.demand(limit > 0, "api-throttle", name, "needs ThrottlingRateLimit")
}
