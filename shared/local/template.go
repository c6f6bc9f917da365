package local

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Template is a parsed template: mappings are map[string]any, sequences []any,
// scalars string, int64, float64 or bool, and an intrinsic is an Intrinsic.
// Nothing is resolved yet.
type Template map[string]any

// Intrinsic is one use of a CloudFormation function, as "Ref" or "Fn::Sub".
type Intrinsic struct {
	Name string
	Arg  any
}

// intrinsics are the functions that template.yaml may use. Rules is evaluated
// by CloudFormation only; the local parties have Load check its own parameters.
var intrinsics = []string{"Ref", "Sub", "GetAtt", "If", "Equals", "Not"}

// maxTemplate bounds what is parsed (CloudFormation's own limit from S3).
const maxTemplate = 1 << 20

// Parse reads a template strictly: one document, no anchors, no aliases, no
// duplicate keys, and only the intrinsics that are known here; any other is
// refused by name.
func Parse(raw []byte) (Template, error) {
	if len(raw) > maxTemplate {
		return nil, errors.New("the template is larger than 1 MiB")
	}
	file, err := parser.ParseBytes(raw, 0)
	if err != nil {
		return nil, fmt.Errorf("read the template: %w", err)
	}
	if len(file.Docs) != 1 || file.Docs[0].Body == nil {
		return nil, errors.New("the template must be one YAML document")
	}
	root, err := value(file.Docs[0].Body)
	if err != nil {
		return nil, fmt.Errorf("read the template: %w", err)
	}
	t, ok := root.(map[string]any)
	if !ok {
		return nil, errors.New("the template must be a mapping")
	}
	return t, nil
}

// value turns a YAML node into plain data.
func value(n ast.Node) (any, error) {
	switch n := n.(type) {
	case *ast.MappingNode:
		return mapping(n.Values)
	case *ast.MappingValueNode:
		return mapping([]*ast.MappingValueNode{n})
	case *ast.SequenceNode:
		list := make([]any, 0, len(n.Values))
		for _, item := range n.Values {
			v, err := value(item)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, nil
	case *ast.TagNode:
		return tagged(n)
	case *ast.NullNode:
		return nil, nil
	case *ast.IntegerNode:
		return integer(n)
	case *ast.StringNode:
		return n.Value, nil
	case *ast.LiteralNode:
		return n.Value.Value, nil
	case *ast.BoolNode:
		return n.Value, nil
	case *ast.FloatNode:
		return n.Value, nil
	}
	return nil, fmt.Errorf("line %d: %s is not used in templates of Arca", n.GetToken().Position.Line, n.Type())
}

func integer(n *ast.IntegerNode) (any, error) {
	v, err := strconv.ParseInt(n.Token.Value, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("line %d: write this number in decimal, or quote it", n.Token.Position.Line)
	}
	return v, nil
}

// mapping refuses duplicate keys and resolves the long form of intrinsics,
// {"Fn::Sub": …}, to the same Intrinsic as the short one.
func mapping(values []*ast.MappingValueNode) (any, error) {
	m := make(map[string]any, len(values))
	for _, pair := range values {
		key, ok := pair.Key.(*ast.StringNode)
		if !ok {
			return nil, fmt.Errorf("line %d: a key must be a plain string", pair.GetToken().Position.Line)
		}
		if _, twice := m[key.Value]; twice {
			return nil, fmt.Errorf("line %d: the key %s appears twice", key.Token.Position.Line, key.Value)
		}
		// Inside two flow collections the parser splits s3:GetObject at its
		// colon, which YAML does not; rather refuse than read it differently.
		if colon, next := pair.Start.Position, pair.Value.GetToken().Position; colon.Line == next.Line && colon.Column+1 == next.Column {
			return nil, fmt.Errorf("line %d: write a space after the colon of %s, or quote the whole", colon.Line, key.Value)
		}
		v, err := value(pair.Value)
		if err != nil {
			return nil, err
		}
		m[key.Value] = v
	}
	for key, arg := range m {
		name, fn := strings.CutPrefix(key, "Fn::")
		if !fn && key != "Ref" && key != "Condition" {
			continue
		}
		if key == "Condition" {
			// Condition is an intrinsic only where it stands alone among
			// conditions; elsewhere it is an attribute or an IAM element.
			continue
		}
		if len(m) != 1 {
			return nil, fmt.Errorf("%s must stand alone in its mapping", key)
		}
		return known(name, arg)
	}
	return m, nil
}

func tagged(n *ast.TagNode) (any, error) {
	name := strings.TrimPrefix(n.Start.Value, "!")
	arg, err := value(n.Value)
	if err != nil {
		return nil, err
	}
	return known(name, arg)
}

// known refuses intrinsics that nothing here would evaluate.
func known(name string, arg any) (any, error) {
	if !slices.Contains(intrinsics, name) {
		return nil, fmt.Errorf("the intrinsic %s is not known to the local parties; use one of %s", name, strings.Join(intrinsics, ", "))
	}
	if name == "GetAtt" {
		if s, ok := arg.(string); ok {
			resource, attribute, _ := strings.Cut(s, ".")
			arg = []any{resource, attribute}
		}
	}
	return Intrinsic{name, arg}, nil
}

// resolver evaluates intrinsics for one party. Resources are not created
// locally: a reference to one resolves to its logical name, an attribute to
// "Name.Attribute", unless params names it.
type resolver struct {
	params     map[string]string
	resources  map[string]any
	conditions map[string]any
	depth      int
}

// maxDepth stops conditions that name each other.
const maxDepth = 32

func (r *resolver) text(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	case bool:
		return strconv.FormatBool(v), nil
	case Intrinsic:
		switch v.Name {
		case "Ref":
			name, ok := v.Arg.(string)
			if !ok {
				return "", errors.New("a Ref needs a name")
			}
			return r.ref(name)
		case "GetAtt":
			return r.attribute(v.Arg)
		case "Sub":
			return r.sub(v.Arg)
		case "If":
			branch, err := r.branch(v.Arg)
			if err != nil {
				return "", err
			}
			return r.text(branch)
		}
		return "", fmt.Errorf("%s does not give a text", v.Name)
	}
	return "", fmt.Errorf("%T is not a text", v)
}

func (r *resolver) ref(name string) (string, error) {
	if v, ok := r.params[name]; ok {
		return v, nil
	}
	if _, ok := r.resources[name]; ok {
		return name, nil
	}
	return "", fmt.Errorf("the Ref %s: there is no such parameter or resource", name)
}

func (r *resolver) attribute(arg any) (string, error) {
	pair, ok := arg.([]any)
	if !ok || len(pair) != 2 {
		return "", errors.New("GetAtt needs a resource and an attribute")
	}
	resource, _ := pair[0].(string)
	attribute, _ := pair[1].(string)
	name := resource + "." + attribute
	if v, ok := r.params[name]; ok {
		return v, nil
	}
	if _, ok := r.resources[resource]; !ok || attribute == "" {
		return "", fmt.Errorf("GetAtt %s: there is no such resource", name)
	}
	return name, nil
}

var placeholder = regexp.MustCompile(`\$\{([^}]*)\}`)

func (r *resolver) sub(arg any) (string, error) {
	text, ok := arg.(string)
	if !ok {
		return "", errors.New("a Sub with a mapping of its own is not known to the local parties")
	}
	var failed error
	out := placeholder.ReplaceAllStringFunc(text, func(m string) string {
		name := m[2 : len(m)-1]
		var v string
		var err error
		if resource, attribute, ok := strings.Cut(name, "."); ok {
			v, err = r.attribute([]any{resource, attribute})
		} else {
			v, err = r.ref(name)
		}
		if err != nil && failed == nil {
			failed = err
		}
		return v
	})
	return out, failed
}

func (r *resolver) branch(arg any) (any, error) {
	list, ok := arg.([]any)
	if !ok || len(list) != 3 {
		return nil, errors.New("an If needs a condition and two values")
	}
	name, _ := list[0].(string)
	holds, err := r.condition(name)
	if err != nil {
		return nil, err
	}
	if holds {
		return list[1], nil
	}
	return list[2], nil
}

// condition evaluates a named condition.
func (r *resolver) condition(name string) (bool, error) {
	c, ok := r.conditions[name]
	if !ok {
		return false, fmt.Errorf("there is no condition %q", name)
	}
	r.depth++
	defer func() { r.depth-- }()
	if r.depth > maxDepth {
		return false, fmt.Errorf("the condition %s depends on itself", name)
	}
	return r.test(c)
}

func (r *resolver) test(v any) (bool, error) {
	switch v := v.(type) {
	case map[string]any:
		if name, ok := v["Condition"].(string); ok && len(v) == 1 {
			return r.condition(name)
		}
	case Intrinsic:
		list, _ := v.Arg.([]any)
		switch {
		case v.Name == "Equals" && len(list) == 2:
			a, err := r.text(list[0])
			if err != nil {
				return false, err
			}
			b, err := r.text(list[1])
			return a == b, err
		case v.Name == "Not" && len(list) == 1:
			holds, err := r.test(list[0])
			return !holds, err
		}
	}
	return false, errors.New("a condition is made of Equals, Not and Condition")
}

// Dig follows keys through mappings; absent gives nil.
func Dig(v any, keys ...string) any {
	for _, key := range keys {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[key]
	}
	return v
}

// Texts gives a text or a list of texts as a list; what is not a text is left out.
func Texts(v any) (all []string) {
	if s, ok := v.(string); ok {
		return []string{s}
	}
	list, _ := v.([]any)
	for _, item := range list {
		if s, ok := item.(string); ok {
			all = append(all, s)
		}
	}
	return all
}

func section(v any, keys ...string) map[string]any {
	m, _ := Dig(v, keys...).(map[string]any)
	return m
}

func sortedKeys(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }
