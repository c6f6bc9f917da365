// Package local runs Arca's functions on one machine as Lambda would.
//
// Load reads template.yaml for one party and gives a Plan: which functions
// exist, their routes, schedules, events and environment. A Host runs a plan:
// an HTTP gateway on the loopback interface that builds the same payloads as
// API Gateway, a scheduler for rate() and cron(), asynchronous calls between
// functions, and object-created events. The functions are called in process
// with bytes in and bytes out, exactly as Lambda calls them.
//
// Promises: every request is written to the access log, one JSON line with
// method, URL, headers and status, before its answer is complete; that file is
// what a storage provider would see and keep. No two runs of one schedule
// overlap. Close waits for what runs.
//
// Trusts: the machine and its users; the gateway listens on 127.0.0.1 only and
// has no TLS. Does not trust the template: an intrinsic, event type or schedule
// that it does not know is refused by name, never skipped.
package local

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Plan is what one party runs.
type Plan struct {
	Party     string
	Functions []Function // by logical name in the template
}

// Function is one function of a plan.
type Function struct {
	Logical   string // logical name in the template, what Ref gives
	Name      string // Handler: the name of its entry in package functions
	Routes    []Route
	Schedules []Schedule
	Created   []string          // key prefixes of objects whose creation it is told of
	Env       map[string]string // as Lambda would set it, AWS_REGION included
	Timeout   time.Duration     // after which a call is cut off
}

// Route is one HTTP route. Pattern is http.ServeMux's form of the template's
// method and path: "GET /v1/tile/{path...}".
type Route struct {
	Method  string
	Path    string // as in the template: "/v1/tile/{path+}"
	Pattern string
}

// Schedule is one schedule and the payload that it delivers.
type Schedule struct {
	Name       string
	Expression string // rate(…) or cron(…), checked
	Input      []byte
}

// Lookup reads the function's environment like os.LookupEnv.
func (f *Function) Lookup(name string) (string, bool) {
	v, ok := f.Env[name]
	return v, ok
}

// Function gives the function with that Handler name, or the logical name that
// another function's environment holds.
func (p *Plan) Function(name string) (*Function, bool) {
	for i := range p.Functions {
		if p.Functions[i].Name == name || p.Functions[i].Logical == name {
			return &p.Functions[i], true
		}
	}
	return nil, false
}

// Set replaces a variable in the environment of every function that has it: the
// local origin, for example, is not the template's https URL.
func (p *Plan) Set(name, value string) error {
	found := false
	for i := range p.Functions {
		if _, ok := p.Functions[i].Env[name]; ok {
			p.Functions[i].Env[name], found = value, true
		}
	}
	if !found {
		return fmt.Errorf("no function of the %s has a variable %s", p.Party, name)
	}
	return nil
}

// Load reads the template for one party. params are the template's parameters
// by name (defaults apply), pseudo parameters such as "AWS::Region" (default
// "local"), and values for resources that exist locally, as "Table" or
// "BaseRoot.Arn"; a resource without a value resolves to its logical name.
func Load(template []byte, party string, params map[string]string) (*Plan, error) {
	t, err := Parse(template)
	if err != nil {
		return nil, err
	}
	r, err := newResolver(t, party, params)
	if err != nil {
		return nil, err
	}
	plan := &Plan{Party: party}
	for _, logical := range sortedKeys(r.resources) {
		resource := section(r.resources, logical)
		if resource["Type"] != "AWS::Serverless::Function" {
			continue
		}
		if name, ok := resource["Condition"].(string); ok {
			holds, err := r.condition(name)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", logical, err)
			}
			if !holds {
				continue
			}
		}
		f, err := loadFunction(r, t, logical, section(resource, "Properties"))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", logical, err)
		}
		plan.Functions = append(plan.Functions, *f)
	}
	return plan, plan.check()
}

// newResolver settles the parameters: given, default, or an error that names them.
func newResolver(t Template, party string, params map[string]string) (*resolver, error) {
	r := &resolver{resources: section(map[string]any(t), "Resources"), conditions: section(map[string]any(t), "Conditions"),
		params: map[string]string{"AWS::Region": "local", "AWS::Partition": "aws", "AWS::AccountId": "000000000000"}}
	for name, v := range params {
		r.params[name] = v
	}
	r.params["Party"] = party
	var missing []string
	declared := section(map[string]any(t), "Parameters")
	for _, name := range sortedKeys(declared) {
		p := section(declared, name)
		v, given := r.params[name]
		if !given {
			d, ok := p["Default"]
			if !ok {
				missing = append(missing, name)
				continue
			}
			text, err := r.text(d)
			if err != nil {
				return nil, fmt.Errorf("parameter %s: %w", name, err)
			}
			v, r.params[name] = text, text
		}
		if allowed, ok := p["AllowedValues"].([]any); ok && !slices.ContainsFunc(allowed, func(a any) bool { return fmt.Sprint(a) == v }) {
			return nil, fmt.Errorf("parameter %s must be one of %v", name, allowed)
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("the template needs these parameters: %s", strings.Join(missing, ", "))
	}
	return r, nil
}

func loadFunction(r *resolver, t Template, logical string, properties map[string]any) (*Function, error) {
	name, ok := properties["Handler"].(string)
	if !ok || name == "" {
		return nil, errors.New("a function needs a Handler")
	}
	f := &Function{Logical: logical, Name: name, Env: map[string]string{"AWS_REGION": r.params["AWS::Region"]}}
	for _, properties := range []map[string]any{section(map[string]any(t), "Globals", "Function"), properties} {
		if seconds, ok := properties["Timeout"].(int64); ok {
			f.Timeout = time.Duration(seconds) * time.Second
		}
	}
	if f.Timeout <= 0 {
		return nil, errors.New("a function needs a Timeout")
	}
	for _, variables := range []map[string]any{
		section(map[string]any(t), "Globals", "Function", "Environment", "Variables"),
		section(properties, "Environment", "Variables"),
	} {
		for _, key := range sortedKeys(variables) {
			v, err := r.text(variables[key])
			if err != nil {
				return nil, fmt.Errorf("environment %s: %w", key, err)
			}
			f.Env[key] = v
		}
	}
	events := section(properties, "Events")
	for _, key := range sortedKeys(events) {
		if err := loadEvent(r, f, key, section(events, key)); err != nil {
			return nil, fmt.Errorf("event %s: %w", key, err)
		}
	}
	return f, nil
}

// loadEvent adds one trigger. A type that is not known is refused: a trigger
// that silently never fires is a function that silently never runs.
func loadEvent(r *resolver, f *Function, key string, event map[string]any) error {
	properties := section(event, "Properties")
	switch event["Type"] {
	case "HttpApi":
		route, err := loadRoute(properties)
		if err != nil {
			return err
		}
		f.Routes = append(f.Routes, route)
	case "ScheduleV2":
		expression, err := r.text(properties["ScheduleExpression"])
		if err != nil {
			return err
		}
		if _, err := parseExpression(expression); err != nil {
			return err
		}
		input, err := r.text(properties["Input"])
		if err != nil {
			return fmt.Errorf("input: %w", err)
		}
		f.Schedules = append(f.Schedules, Schedule{Name: f.Name + "/" + key, Expression: expression, Input: []byte(input)})
	case "EventBridgeRule":
		prefixes, err := loadRule(properties)
		if err != nil {
			return err
		}
		f.Created = append(f.Created, prefixes...)
	default:
		return fmt.Errorf("the event type %v is not known to the local parties", event["Type"])
	}
	return nil
}

func loadRoute(properties map[string]any) (Route, error) {
	method, _ := properties["Method"].(string)
	path, _ := properties["Path"].(string)
	if method == "" || method != strings.ToUpper(method) || method == "ANY" || !strings.HasPrefix(path, "/") {
		return Route{}, errors.New("a route needs one upper-case method and an absolute path")
	}
	if properties["PayloadFormatVersion"] != "2.0" {
		return Route{}, errors.New("a route needs PayloadFormatVersion \"2.0\"")
	}
	return Route{method, path, method + " " + strings.ReplaceAll(path, "+}", "...}")}, nil
}

// loadRule understands one pattern: objects created under key prefixes.
func loadRule(properties map[string]any) ([]string, error) {
	pattern := section(properties, "Pattern")
	if only(pattern["source"]) != "aws.s3" || only(pattern["detail-type"]) != "Object Created" {
		return nil, errors.New("only rules for objects created in S3 are known to the local parties")
	}
	keys, _ := Dig(pattern, "detail", "object", "key").([]any)
	var prefixes []string
	for _, k := range keys {
		prefix, ok := Dig(k, "prefix").(string)
		if !ok {
			return nil, errors.New("only prefixes of keys are known to the local parties")
		}
		prefixes = append(prefixes, prefix)
	}
	if len(prefixes) == 0 {
		return nil, errors.New("a rule needs at least one key prefix")
	}
	return prefixes, nil
}

func only(v any) any {
	if list, ok := v.([]any); ok && len(list) == 1 {
		return list[0]
	}
	return nil
}

// check refuses a plan in which a request could reach two functions.
func (p *Plan) check() error {
	if len(p.Functions) == 0 {
		return fmt.Errorf("the template has no functions for the party %s", p.Party)
	}
	routes, names := map[string]string{}, map[string]bool{}
	for _, f := range p.Functions {
		if names[f.Name] {
			return fmt.Errorf("two functions have the Handler %s", f.Name)
		}
		names[f.Name] = true
		for _, r := range f.Routes {
			if other, twice := routes[r.Pattern]; twice {
				return fmt.Errorf("%s and %s both serve %s", other, f.Logical, r.Pattern)
			}
			routes[r.Pattern] = f.Logical
		}
	}
	return nil
}
