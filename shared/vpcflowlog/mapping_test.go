package vpcflowlog

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

type mapping struct {
	Type       string
	Path       string
	Properties map[string]mapping
}

func (m mapping) at(path string) mapping {
	for key := range strings.SplitSeq(path, ".") {
		m = m.Properties[key]
	}
	return m
}

// TestMapping holds the component template to the goldens: every member has a mapping that takes its value, every
// mapping is written by some golden, and every alias leads somewhere.
func TestMapping(t *testing.T) {
	text, err := os.ReadFile("../../kibana/component/vpcflowlog.json")
	if err != nil {
		t.Fatal(err)
	}
	var component struct {
		Version  int
		Template struct{ Mappings mapping }
	}
	if err := json.Unmarshal(text, &component); err != nil || component.Version == 0 {
		t.Fatal(err, component.Version)
	}
	root := component.Template.Mappings
	base := map[string]bool{"@timestamp": true, "log": true, "ecs": true, "event.ingested": true, "event.dataset": true, "labels.batch": true}
	written := map[string]bool{}
	var check func(v any, path string)
	check = func(v any, path string) {
		if base[path] {
			return
		}
		m := root
		if path != "" {
			m = root.at(path)
		}
		switch v := v.(type) {
		case map[string]any:
			if m.Type == "flat_object" {
				written[path] = true
				return
			}
			for key, inner := range v {
				check(inner, strings.TrimPrefix(path+"."+key, "."))
			}
			return
		case []any:
			for _, inner := range v {
				check(inner, path)
			}
		case float64:
			if m.Type != "long" && m.Type != "integer" && m.Type != "short" {
				t.Errorf("%s is a number and has type %q", path, m.Type)
			}
		case string:
			if m.Type != "keyword" && m.Type != "ip" && m.Type != "date" {
				t.Errorf("%s is a text and has type %q", path, m.Type)
			}
		}
		written[path] = true
	}
	files, _ := filepath.Glob("testdata/*.txtar")
	for _, file := range files {
		for _, doc := range goldenDocuments(t, file) {
			check(map[string]any(doc), "")
		}
	}
	var unused func(m mapping, path string)
	unused = func(m mapping, path string) {
		for key, inner := range m.Properties {
			unused(inner, strings.TrimPrefix(path+"."+key, "."))
		}
		switch {
		case m.Type == "alias":
			if target := root.at(m.Path); target.Type == "" || target.Type == "alias" {
				t.Errorf("alias %s leads to %s, which has type %q", path, m.Path, target.Type)
			}
		case m.Type != "" && !written[path]:
			t.Errorf("%s is mapped, and no golden has it", path)
		}
	}
	unused(root, "")
}

func goldenDocuments(t *testing.T, file string) (docs []map[string]any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	in, _, _ := strings.Cut(strings.TrimPrefix(string(text), "-- input --\n"), "-- documents --\n")
	for _, line := range parse(New(Config{ENI: eni}), strings.Split(strings.TrimSuffix(in, "\n"), "\n")...) {
		if strings.HasPrefix(line, "!") {
			continue
		}
		var doc map[string]any
		if err := json.Unmarshal([]byte(line), &doc); err != nil {
			t.Fatal(err)
		}
		docs = append(docs, doc)
	}
	return docs
}
