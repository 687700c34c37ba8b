package statemachines

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"gopkg.in/yaml.v3"
)

// house is what must fit together: folders of tasks, the template, the machines.
type house struct {
	tasks    map[string]task
	template *yaml.Node
	machines map[string]string
}

// task is a folder: how long its main.go is, and the environment that its Config's tags name.
type task struct {
	lines int
	env   map[string]bool // true when it may be left out
}

const maxMain = 25

func readHouse(t *testing.T) *house {
	t.Helper()
	h := &house{tasks: map[string]task{}, machines: map[string]string{}}
	raw, err := os.ReadFile("../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	h.template = parseTemplate(t, string(raw))
	for _, name := range Names() {
		h.machines[name] = text(t, name)
	}
	folders, err := filepath.Glob("../tasks/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range folders {
		main, err := os.ReadFile(filepath.Join(dir, "main.go"))
		if err != nil {
			t.Fatal(err)
		}
		h.tasks[filepath.Base(dir)] = task{bytes.Count(main, []byte("\n")), environment(t, dir)}
	}
	return h
}

// environment reads the env tags in a folder's Go files.
func environment(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]bool{}
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if field, ok := n.(*ast.Field); ok && field.Tag != nil {
				raw, _ := strconv.Unquote(field.Tag.Value)
				tag := reflect.StructTag(raw)
				if name, ok := tag.Lookup("env"); ok {
					_, env[name] = tag.Lookup("default")
				}
			}
			return true
		})
	}
	return env
}

func parseTemplate(t *testing.T, text string) *yaml.Node {
	t.Helper()
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	return doc.Content[0]
}

// get walks down mappings; nil where one has no such key.
func get(n *yaml.Node, path ...string) *yaml.Node {
	for _, key := range path {
		n = members(n)[key]
	}
	return n
}

func members(n *yaml.Node) map[string]*yaml.Node {
	all := map[string]*yaml.Node{}
	if n == nil || n.Kind != yaml.MappingNode {
		return all
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		all[n.Content[i].Value] = n.Content[i+1]
	}
	return all
}

func value(n *yaml.Node) string {
	if n == nil {
		return ""
	}
	return strings.TrimPrefix(n.Tag+" "+n.Value, "!!str ")
}

// resources lists the resources of a type by name.
func (h *house) resources(kind string) map[string]*yaml.Node {
	all := members(get(h.template, "Resources"))
	maps.DeleteFunc(all, func(_ string, r *yaml.Node) bool { return value(get(r, "Type")) != kind })
	return all
}

// camel makes GeoEnrich of geo-enrich.
func camel(folder string) string {
	var b strings.Builder
	for _, word := range strings.Split(folder, "-") {
		b.WriteRune(unicode.ToUpper(rune(word[0])))
		b.WriteString(word[1:])
	}
	return b.String()
}

func (h *house) problems(t *testing.T) (list []string) {
	t.Helper()
	list = slices.Concat(h.functions(), h.environments(), h.substitutions(t))
	for name, task := range h.tasks {
		if task.lines > maxMain {
			list = append(list, fmt.Sprintf("tasks/%s/main.go has %d lines, more than %d", name, task.lines, maxMain))
		}
	}
	slices.Sort(list)
	return list
}

// functions: folder ⇄ resource, each built by its own make target, each with a role and a log group of its own.
func (h *house) functions() (list []string) {
	functions := h.resources("AWS::Serverless::Function")
	for folder := range h.tasks {
		if functions[camel(folder)+"Function"] == nil {
			list = append(list, fmt.Sprintf("tasks/%s: no %sFunction in the template", folder, camel(folder)))
		}
	}
	wanted := map[string]string{}
	for folder := range h.tasks {
		wanted[camel(folder)+"Function"] = folder
	}
	for name, f := range functions {
		folder, ok := wanted[name]
		if !ok {
			list = append(list, name+": no folder in tasks/")
			continue
		}
		if value(get(f, "Metadata", "BuildMethod")) != "makefile" || get(f, "Properties", "CodeUri") != nil {
			list = append(list, name+": is not built by the Makefile")
		}
		if got := value(get(f, "Properties", "FunctionName")); got != "!Sub ${AWS::StackName}-"+folder {
			list = append(list, fmt.Sprintf("%s: is called %q", name, got))
		}
		if get(f, "Properties", "Role") != nil || get(f, "Properties", "Policies") == nil {
			list = append(list, name+": has no role of its own")
		}
		if got := value(get(f, "Properties", "LoggingConfig", "LogGroup")); got != "!Ref "+camel(folder)+"Log" {
			list = append(list, fmt.Sprintf("%s: logs to %q", name, got))
		}
	}
	return list
}

// environments: what the template sets is what Config reads. Globals may be of use to others; Lambda sets AWS_ variables.
func (h *house) environments() (list []string) {
	global := members(get(h.template, "Globals", "Function", "Environment", "Variables"))
	for name := range global {
		if !slices.ContainsFunc(slices.Collect(maps.Values(h.tasks)), func(t task) bool { _, ok := t.env[name]; return ok }) {
			list = append(list, name+": is set for all tasks and read by none")
		}
	}
	for folder, task := range h.tasks {
		function := camel(folder) + "Function"
		own := members(get(h.template, "Resources", function, "Properties", "Environment", "Variables"))
		for name := range own {
			if _, read := task.env[name]; !read {
				list = append(list, function+": sets "+name+", which nobody reads")
			}
		}
		for name, optional := range task.env {
			if own[name] == nil && global[name] == nil && !optional && !strings.HasPrefix(name, "AWS_") {
				list = append(list, function+": does not set "+name)
			}
		}
	}
	return list
}

// substitutions: machine ⇄ resource, each placeholder is defined as what its name says, and each definition is used; every
// task that a machine invokes exists, and its role may invoke just these.
func (h *house) substitutions(t *testing.T) (list []string) {
	t.Helper()
	resources := h.resources("AWS::Serverless::StateMachine")
	for name, text := range h.machines {
		resource := camel(name) + "Machine"
		r := resources[resource]
		if r == nil {
			list = append(list, name+": no "+resource+" in the template")
			continue
		}
		delete(resources, resource)
		if got := value(get(r, "Properties", "DefinitionUri")); got != "statemachines/"+name+suffix {
			list = append(list, fmt.Sprintf("%s: is defined by %q", resource, got))
		}
		defined := members(get(r, "Properties", "DefinitionSubstitutions"))
		used := map[string]bool{}
		for _, m := range placeholder.FindAllStringSubmatch(text, -1) {
			used[m[1]] = true
		}
		for name, v := range defined {
			function, ok := strings.CutSuffix(name, "FunctionArn")
			if want := "!GetAtt " + function + "Function.Arn"; ok && value(v) != want {
				list = append(list, fmt.Sprintf("%s: %s is %q", resource, name, value(v)))
			}
			if !used[name] {
				list = append(list, fmt.Sprintf("%s: %s is defined and not used", resource, name))
			}
		}
		invoked := map[string]bool{}
		for name := range used {
			if defined[name] == nil {
				list = append(list, fmt.Sprintf("%s: %s is used and not defined", resource, name))
			}
			if function, ok := strings.CutSuffix(name, "Arn"); ok && strings.HasSuffix(function, "Function") {
				invoked["!GetAtt "+function+".Arn"] = true
			}
		}
		if allowed := invocable(r); !maps.Equal(allowed, invoked) {
			list = append(list, fmt.Sprintf("%s: may invoke %v, invokes %v", resource, slices.Sorted(maps.Keys(allowed)), slices.Sorted(maps.Keys(invoked))))
		}
	}
	for name := range resources {
		list = append(list, name+": no definition in statemachines/")
	}
	return list
}

// invocable are the functions that a machine's role lets it invoke.
func invocable(r *yaml.Node) map[string]bool {
	allowed := map[string]bool{}
	policies := get(r, "Properties", "Policies")
	if policies == nil {
		return allowed
	}
	for _, p := range policies.Content {
		statements := get(p, "Statement")
		if statements == nil {
			continue
		}
		for _, s := range statements.Content {
			if value(get(s, "Action")) == "lambda:InvokeFunction" {
				for _, f := range get(s, "Resource").Content {
					allowed[value(f)] = true
				}
			}
		}
	}
	return allowed
}

// TestParameters: each has a description and stands in one group of the console's form.
func TestParameters(t *testing.T) {
	h := readHouse(t)
	grouped := map[string]int{}
	for _, g := range get(h.template, "Metadata", "AWS::CloudFormation::Interface", "ParameterGroups").Content {
		for _, p := range get(g, "Parameters").Content {
			grouped[p.Value]++
		}
	}
	for name, p := range members(get(h.template, "Parameters")) {
		if value(get(p, "Description")) == "" || grouped[name] != 1 {
			t.Errorf("%s: has description %q and stands in %d groups", name, value(get(p, "Description")), grouped[name])
		}
		delete(grouped, name)
	}
	for name := range grouped {
		t.Errorf("%s: is in a group and no parameter", name)
	}
}

func TestHouse(t *testing.T) {
	for _, p := range readHouse(t).problems(t) {
		t.Error(p)
	}
}

// TestHouseRules breaks the house at one place after the other and wants to be told.
func TestHouseRules(t *testing.T) {
	raw, err := os.ReadFile("../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ old, new, want string }{
		{"  GeoEnrichFunction:\n", "  GeoFunction:\n", "tasks/geo-enrich: no GeoEnrichFunction in the template"},
		{"  GeoEnrichFunction:\n", "  GeoFunction:\n", "GeoFunction: no folder in tasks/"},
		{"Metadata: {BuildMethod: makefile}", "Metadata: {BuildMethod: go1.x}", "SubscribeFunction: is not built by the Makefile"},
		{"FunctionName: !Sub ${AWS::StackName}-start", "FunctionName: start", `StartFunction: is called "start"`},
		{"LogGroup: !Ref StartLog", "LogGroup: !Ref PlanLog", `StartFunction: logs to "!Ref PlanLog"`},
		{"      Timeout: 60\n", "      Role: everything\n", "StartFunction: has no role of its own"},
		{"          EARLIEST_EVENT:", "          EARLIEST_EVENTS:", "ParseFunction: does not set EARLIEST_EVENT"},
		{"          EARLIEST_EVENT:", "          EARLIEST_EVENTS:", "ParseFunction: sets EARLIEST_EVENTS, which nobody reads"},
		{"        WORK_BUCKET:", "        PLAY_BUCKET:", "PLAY_BUCKET: is set for all tasks and read by none"},
		{"        WORK_BUCKET:", "        PLAY_BUCKET:", "PlanFunction: does not set WORK_BUCKET"},
		{"  IngestMachine:\n", "  DigestMachine:\n", "ingest: no IngestMachine in the template"},
		{"  IngestMachine:\n", "  DigestMachine:\n", "DigestMachine: no definition in statemachines/"},
		{"DefinitionUri: statemachines/ingest.asl.json", "DefinitionUri: ingest.json", `IngestMachine: is defined by "ingest.json"`},
		{"        PlanFunctionArn:", "        PlamFunctionArn:", "IngestMachine: PlanFunctionArn is used and not defined"},
		{"        PlanFunctionArn:", "        PlamFunctionArn:", "IngestMachine: PlamFunctionArn is defined and not used"},
		{"PlanFunctionArn: !GetAtt PlanFunction.Arn", "PlanFunctionArn: !GetAtt ParseFunction.Arn", `IngestMachine: PlanFunctionArn is "!GetAtt ParseFunction.Arn"`},
	} {
		h := readHouse(t)
		broken := strings.Replace(string(raw), c.old, c.new, 1)
		if broken == string(raw) {
			t.Errorf("the template has no %q", c.old)
			continue
		}
		h.template = parseTemplate(t, broken)
		if list := h.problems(t); !slices.Contains(list, c.want) {
			t.Errorf("%s for %s: told %q, want %s", c.new, c.old, list, c.want)
		}
	}
	for want, change := range map[string]func(h *house){
		"tasks/plan/main.go has 26 lines, more than 25":       func(h *house) { h.tasks["plan"] = task{26, h.tasks["plan"].env} },
		"tasks/new: no NewFunction in the template":           func(h *house) { h.tasks["new"] = task{} },
		"PlanFunction: no folder in tasks/":                   func(h *house) { delete(h.tasks, "plan") },
		"PlanFunction: does not set SURPRISE":                 func(h *house) { h.tasks["plan"].env["SURPRISE"] = false },
		"rescan: no RescanMachine in the template":            func(h *house) { h.machines["rescan"] = "{}" },
		"IngestMachine: no definition in statemachines/":      func(h *house) { delete(h.machines, "ingest") },
		"IngestMachine: XFunctionArn is used and not defined": func(h *house) { h.machines["ingest"] += "${XFunctionArn}" },
	} {
		h := readHouse(t)
		change(h)
		if list := h.problems(t); !slices.Contains(list, want) {
			t.Errorf("told %q, want %s", list, want)
		}
	}
	h := readHouse(t)
	h.tasks["plan"].env["SURPRISE"] = true
	if list := h.problems(t); len(list) > len(readHouse(t).problems(t)) {
		t.Errorf("a variable that may be left out is missed: %q", list)
	}
	h.template = parseTemplate(t, strings.Replace(string(raw), "                - !GetAtt PlanFunction.Arn\n", "", 1))
	if list := strings.Join(h.problems(t), "\n"); !strings.Contains(list, "IngestMachine: may invoke") {
		t.Errorf("a function that the machine's role may not invoke is missed: %q", list)
	}
}

// TestFileSize: no Go file of 600 lines or more, tests included.
func TestFileSize(t *testing.T) {
	err := filepath.WalkDir("..", func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" {
			return err
		}
		b, err := os.ReadFile(path)
		if n := bytes.Count(b, []byte("\n")); n >= 600 {
			t.Errorf("%s has %d lines", path, n)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
