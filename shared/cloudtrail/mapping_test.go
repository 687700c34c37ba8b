package cloudtrail

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

type property struct {
	Type       string
	Path       string
	Properties map[string]*property
}

// at follows a dotted path; it is nil where that leaves the mapping.
func (p *property) at(path string) *property {
	for name := range strings.SplitSeq(path, ".") {
		if p = p.Properties[name]; p == nil {
			return nil
		}
	}
	return p
}

// baseMembers are those that package event writes; the base component maps them.
var baseMembers = map[string]bool{"@timestamp": true, "log": true, "ecs": true, "event.ingested": true, "event.dataset": true, "labels.batch": true}

// fits reports whether OpenSearch takes v for a field of that type.
func fits(typ string, v any) bool {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	for _, v := range list {
		switch typ {
		case "boolean":
			_, ok = v.(bool)
		case "flat_object":
			_, ok = v.(map[string]any)
		default:
			_, ok = v.(string)
		}
		if !ok {
			return false
		}
	}
	return true
}

// TestMapping holds the component template to the documents: every member is mapped, and its values are of that type.
func TestMapping(t *testing.T) {
	text, err := os.ReadFile("../../kibana/component/cloudtrail.json")
	if err != nil {
		t.Fatal(err)
	}
	var component struct {
		Template struct{ Mappings property }
	}
	if err := json.Unmarshal(text, &component); err != nil {
		t.Fatal(err)
	}
	root := &component.Template.Mappings
	var aliases func(path string, p *property)
	aliases = func(path string, p *property) {
		if p.Type == "alias" {
			if to := root.at(p.Path); to == nil || to.Type == "" || to.Type == "alias" {
				t.Errorf("alias %s leads to %s, which is no field", path, p.Path)
			}
		}
		for name, p := range p.Properties {
			aliases(path+"."+name, p)
		}
	}
	aliases("", root)

	used := map[*property]bool{}
	var walk func(path string, p *property, v any)
	walk = func(path string, p *property, v any) {
		if p.Properties == nil {
			if used[p] = true; !fits(p.Type, v) {
				t.Errorf("%s is mapped as %s and holds %v", path, p.Type, v)
			}
			return
		}
		object, ok := v.(map[string]any)
		if !ok {
			t.Errorf("%s is mapped as an object and holds %v", path, v)
		}
		for name, v := range object {
			below := strings.TrimPrefix(path+"."+name, ".")
			if q := p.Properties[name]; q != nil {
				walk(below, q, v)
			} else if !baseMembers[below] {
				t.Errorf("%s is not mapped", below)
			}
		}
	}
	for _, r := range invented(t) {
		d, err := parse(string(r))
		if err != nil {
			t.Fatal(err)
		}
		doc, err := tree(d.Buf)
		if err != nil {
			t.Fatal(err)
		}
		walk("", root, doc)
	}
	var unused func(path string, p *property)
	unused = func(path string, p *property) {
		if p.Properties == nil && p.Type != "alias" && !used[p] {
			t.Errorf("no golden has %s", path)
		}
		for name, p := range p.Properties {
			unused(path+"."+name, p)
		}
	}
	unused("", root)
}
