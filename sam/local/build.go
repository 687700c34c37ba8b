package local

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
	"unicode"

	"gopkg.in/yaml.v3"
)

const artifactBucket = stackName + "-artifacts"

// built is what `sam build` and `sam package` would have made: a template whose code and machines are objects in S3.
type built struct {
	template   []byte
	parameters map[string]bool   // that the template declares
	objects    map[string][]byte // by key, which follows from the content
}

// build compiles the tasks and packs the template. Nothing but CodeUri and DefinitionUri is changed in it.
func (c Config) build(ctx context.Context) (*built, error) {
	c.Log("tasks: building")
	text, err := os.ReadFile(c.Template)
	if err != nil {
		return nil, err
	}
	t, err := parseTemplate(text)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", c.Template, err)
	}
	root := filepath.Dir(c.Template)
	folders, err := taskFolders(root)
	if err != nil {
		return nil, err
	}
	if err := t.match(folders); err != nil {
		return nil, err
	}
	bin := filepath.Join(c.Home, "bin")
	if err := compileTasks(ctx, root, bin); err != nil {
		return nil, err
	}
	b := &built{parameters: t.parameters, objects: map[string][]byte{}}
	add := func(name, ext string, content []byte) string {
		key := name + "-" + digest(content) + ext
		b.objects[key] = content
		return "s3://" + artifactBucket + "/" + key
	}
	for task, properties := range t.functions {
		binary, err := os.ReadFile(filepath.Join(bin, task))
		if err != nil {
			return nil, err
		}
		packed, err := bootstrapZip(binary)
		if err != nil {
			return nil, fmt.Errorf("pack %s: %w", task, err)
		}
		setKey(properties, "CodeUri", add(task, ".zip", packed))
	}
	for _, properties := range t.machines {
		uri := getKey(properties, "DefinitionUri")
		if uri == nil {
			return nil, errors.New("read template: a state machine has no DefinitionUri")
		}
		definition, err := os.ReadFile(filepath.Join(root, uri.Value))
		if err != nil {
			return nil, err
		}
		setKey(properties, "DefinitionUri", add(strings.TrimSuffix(filepath.Base(uri.Value), ".asl.json"), ".asl.json", definition))
	}
	b.template, err = yaml.Marshal(t.document)
	return b, err
}

// taskFolders lists the folders under root/tasks.
func taskFolders(root string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(root, "tasks"))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// buildFlags are the Makefile's, too.
var buildFlags = []string{"-tags", "lambda.norpc", "-trimpath", "-ldflags", "-s -w"}

// compileTasks leaves one binary a task in bin.
func compileTasks(ctx context.Context, root, bin string) error {
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return err
	}
	cmd := exec.Command("go", slices.Concat([]string{"build"}, buildFlags, []string{"-o", bin + "/", "./tasks/..."})...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH)
	if err := run(ctx, cmd); err != nil {
		return fmt.Errorf("build tasks: %w", err)
	}
	return nil
}

// bootstrapZip packs a binary as Lambda's provided runtimes want it; equal binaries give equal bytes.
func bootstrapZip(binary []byte) ([]byte, error) {
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestSpeed) })
	h := &zip.FileHeader{Name: "bootstrap", Method: zip.Deflate, Modified: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)}
	h.SetMode(0o755)
	w, err := z.CreateHeader(h)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(binary); err != nil {
		return nil, err
	}
	err = z.Close()
	return out.Bytes(), err
}

// template is a SAM template and the nodes of it that are packed.
type template struct {
	document   *yaml.Node
	parameters map[string]bool
	functions  map[string]*yaml.Node // Properties by task
	machines   map[string]*yaml.Node // Properties by resource
}

func parseTemplate(text []byte) (*template, error) {
	t := &template{document: &yaml.Node{}, parameters: map[string]bool{}, functions: map[string]*yaml.Node{}, machines: map[string]*yaml.Node{}}
	if err := yaml.Unmarshal(text, t.document); err != nil {
		return nil, err
	}
	if len(t.document.Content) == 0 {
		return nil, errors.New("it is empty")
	}
	top := t.document.Content[0]
	for name := range pairs(getKey(top, "Parameters")) {
		t.parameters[name] = true
	}
	for name, resource := range pairs(getKey(top, "Resources")) {
		kind, properties := getKey(resource, "Type"), getKey(resource, "Properties")
		if kind == nil || properties == nil {
			continue
		}
		switch kind.Value {
		case "AWS::Serverless::Function":
			task, ok := strings.CutSuffix(name, "Function")
			if !ok {
				return nil, fmt.Errorf("the function %s is not called …Function", name)
			}
			t.functions[kebab(task)] = properties
		case "AWS::Serverless::StateMachine":
			t.machines[name] = properties
		}
	}
	return t, nil
}

// match wants one function for each folder of tasks.
func (t *template) match(folders []string) error {
	var wrong []error
	for task := range t.functions {
		if !slices.Contains(folders, task) {
			wrong = append(wrong, fmt.Errorf("the template has a function for tasks/%s, which does not exist", task))
		}
	}
	for _, f := range folders {
		if t.functions[f] == nil {
			wrong = append(wrong, fmt.Errorf("tasks/%s has no function in the template", f))
		}
	}
	return errors.Join(wrong...)
}

// kebab makes geo-enrich of GeoEnrich.
func kebab(camel string) string {
	var b strings.Builder
	for i, r := range camel {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('-')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// pairs walks a YAML mapping; a missing one is empty.
func pairs(mapping *yaml.Node) func(yield func(string, *yaml.Node) bool) {
	return func(yield func(string, *yaml.Node) bool) {
		if mapping == nil || mapping.Kind != yaml.MappingNode {
			return
		}
		for i := 0; i+1 < len(mapping.Content); i += 2 {
			if !yield(mapping.Content[i].Value, mapping.Content[i+1]) {
				return
			}
		}
	}
}

// getKey is the value of a key, nil when it is not there.
func getKey(mapping *yaml.Node, key string) *yaml.Node {
	for name, value := range pairs(mapping) {
		if name == key {
			return value
		}
	}
	return nil
}

// setKey sets a key to a string.
func setKey(mapping *yaml.Node, key, value string) {
	node := getKey(mapping, key)
	if node == nil {
		node = &yaml.Node{}
		mapping.Content = append(mapping.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: key}, node)
	}
	*node = yaml.Node{Kind: yaml.ScalarNode, Value: value}
}
