package kibana

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"stepsiem/shared/catalog"
	"stepsiem/shared/event"
	"stepsiem/shared/format"
	"stepsiem/shared/indicator"
	"stepsiem/shared/join"
	"stepsiem/shared/vpcflowlog"
)

// formats are the types that must have a template.
func formats(t *testing.T) []format.Format {
	t.Helper()
	list, err := catalog.Formats(catalog.Config{KeepFlows: "all", ENI: func(string) (vpcflowlog.Interface, bool) {
		return vpcflowlog.Interface{VPC: "vpc-1", SecurityGroups: []string{"sg-1", "sg-2"}}, true
	}})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// mapping is one field or object of a mapping.
type mapping struct {
	Dynamic    any                 `json:"dynamic"`
	Type       string              `json:"type"`
	Path       string              `json:"path"`
	Ignore     int                 `json:"ignore_above"`
	Index      *bool               `json:"index"`
	Properties map[string]*mapping `json:"properties"`
}

// each calls f with every field below m.
func (m *mapping) each(f func(path string, field *mapping)) {
	for name, p := range m.Properties {
		if p.Type != "" {
			f(name, p)
		}
		p.each(func(below string, field *mapping) { f(name+"."+below, field) })
	}
}

// fields are the fields below m by their paths.
func (m *mapping) fields() map[string]*mapping {
	all := map[string]*mapping{}
	m.each(func(path string, field *mapping) { all[path] = field })
	return all
}

func readJSON(t *testing.T, name string, out any) {
	t.Helper()
	text, err := files.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, out); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// component is the fields of one component.
func component(t *testing.T, name string) map[string]*mapping {
	t.Helper()
	var c struct {
		Template struct{ Mappings mapping }
		Version  int
	}
	readJSON(t, "component/"+name+".json", &c)
	if c.Version == 0 {
		t.Errorf("component %s has no version", name)
	}
	return c.Template.Mappings.fields()
}

type template struct {
	Patterns []string `json:"index_patterns"`
	Composed []string `json:"composed_of"`
	Priority int      `json:"priority"`
	Version  int      `json:"version"`
}

// composed is the fields of a type's template. What two components map they map alike.
func composed(t *testing.T, typ string) map[string]*mapping {
	t.Helper()
	var tpl template
	readJSON(t, "template/"+typ+".json", &tpl)
	if !slices.Equal(tpl.Patterns, []string{"cwl-" + typ + "-*"}) || tpl.Priority != 200 || tpl.Version == 0 {
		t.Errorf("template %s is %+v", typ, tpl)
	}
	all := map[string]*mapping{}
	for _, name := range tpl.Composed {
		for path, field := range component(t, strings.TrimPrefix(name, "cwl-")) {
			if old := all[path]; old != nil && !equal(old, field) {
				t.Errorf("%s: %s is mapped differently in %s", typ, path, name)
			}
			all[path] = field
		}
	}
	return all
}

func equal(a, b *mapping) bool {
	x, errA := json.Marshal(a)
	y, errB := json.Marshal(b)
	return errors.Join(errA, errB) == nil && string(x) == string(y)
}

// TestComponents holds the fields to house rules: one limit for texts, and aliases that lead to a field of their own
// component, which OpenSearch checks alone, and never to one that no search finds.
func TestComponents(t *testing.T) {
	names, err := filepath.Glob("component/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		fields := component(t, strings.TrimSuffix(filepath.Base(name), ".json"))
		for path, f := range fields {
			unsearched := f.Index != nil && !*f.Index
			if f.Type == "keyword" && !unsearched && f.Ignore != 8191 {
				t.Errorf("%s: %s has ignore_above %d", name, path, f.Ignore)
			}
			if f.Type != "alias" {
				continue
			}
			if to := fields[f.Path]; to == nil || to.Type == "alias" || to.Index != nil {
				t.Errorf("%s: alias %s leads to %s, which is no field to search", name, path, f.Path)
			}
		}
	}
}

// place is all that package geo can say of an address.
const place = `,"geo":{"city_name":"São Paulo","region_name":"São Paulo","region_iso_code":"BR-SP","country_name":"Brazil","country_iso_code":"BR",` +
	`"continent_name":"South America","continent_code":"SA","postal_code":"01000","timezone":"America/Sao_Paulo","location":{"lat":-23.5475,"lon":-46.63611}},` +
	`"as":{"number":16509,"organization":{"name":"Amazon.com, Inc."}},"aws":{"hosted":true,"service":"EC2","region":"sa-east-1"}`

// chunks are the documents of every golden of a type, half of them out of a subscription, and facts of all their public addresses.
func chunks(t *testing.T, f format.Format, each func(c *event.Chunk, facts *join.Facts)) {
	t.Helper()
	golden, err := filepath.Glob("../shared/" + f.Type() + "/testdata/*.txtar")
	if err != nil || len(golden) == 0 {
		t.Fatalf("no goldens of %s: %v", f.Type(), err)
	}
	written := time.Unix(1700000000, 0).UTC()
	origin := &event.Origin{Owner: "123456789012", LogGroup: "group", LogStream: "stream", ID: []byte("36000000000000000001"), Time: written.UnixMilli()}
	origin.Prepare()
	for _, file := range golden {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(text), "-- input --\n")
		input, _, ok := strings.Cut(rest, "-- documents --\n")
		if !ok {
			t.Fatalf("%s has no documents", file)
		}
		var c event.Chunk
		var d event.Doc
		base := filepath.Base(file)
		d.Open(&event.Source{Path: "s3://landing/" + base, Base: base, Time: written}, f.Type(), "b1", written)
		parser := f.Open()
		for i, line := range strings.Split(strings.TrimSuffix(input, "\n"), "\n") {
			d.Reset(int64(i))
			if d.Origin = nil; i%2 == 1 {
				d.Origin = origin
			}
			if err := parser.Parse([]byte(line), &d); err != nil {
				d.Drop()
				continue
			}
			c.Commit(&d, []byte(line), 0)
		}
		facts := join.Facts{Version: "20231114T221320Z", Threat: map[int32]*indicator.Match{}}
		for i, a := range c.Addresses.List() {
			facts.Geo = append(facts.Geo, []byte(place))
			facts.Threat[int32(i)] = &indicator.Match{Addr: a, Entry: indicator.Entry{Prefix: netip.PrefixFrom(a, a.BitLen()),
				Feeds: []string{"ipsum"}, FirstSeen: written, LastSeen: written, Confidence: 90}}
		}
		each(&c, &facts)
	}
}

// TestDocuments finds every field of every golden document in the template of its type, with a type that takes it, and
// keeps every template clear of the limit of fields.
func TestDocuments(t *testing.T) {
	var settings struct {
		Template struct{ Settings map[string]any }
	}
	readJSON(t, "component/settings.json", &settings)
	limit := settings.Template.Settings["index.mapping.total_fields.limit"].(float64)
	for _, f := range formats(t) {
		t.Run(f.Type(), func(t *testing.T) {
			fields := composed(t, f.Type())
			if len(fields) > int(limit)/2 {
				t.Errorf("%d fields of %v", len(fields), limit)
			}
			count := 0
			chunks(t, f, func(c *event.Chunk, facts *join.Facts) {
				for i := range c.Records {
					count++
					dec := json.NewDecoder(bytes.NewReader(facts.AppendDocument(nil, c, &c.Records[i])))
					dec.UseNumber()
					var doc map[string]any
					if err := dec.Decode(&doc); err != nil {
						t.Fatal(err)
					}
					walk(doc, "", func(path string, v any) bool {
						field := fields[path]
						if _, object := v.(map[string]any); field == nil && object {
							return true
						}
						if field == nil || !fits(field.Type, v) {
							t.Errorf("%s = %v is mapped as %+v", path, v, field)
						}
						return false
					})
				}
			})
			t.Logf("%d documents, %d fields", count, len(fields))
		})
	}
}

// walk calls f with every value below v; it goes into the objects for which f says so.
func walk(v any, path string, f func(path string, v any) bool) {
	if path != "" && !f(path, v) {
		return
	}
	for name, inner := range v.(map[string]any) {
		walk(inner, strings.TrimPrefix(path+"."+name, "."), f)
	}
}

// fits reports whether a field of that type takes v.
func fits(typ string, v any) bool {
	if list, ok := v.([]any); ok {
		return !slices.ContainsFunc(list, func(v any) bool { return !fits(typ, v) })
	}
	switch v := v.(type) {
	case map[string]any:
		return typ == "flat_object" || typ == "geo_point"
	case bool:
		return typ == "boolean"
	case json.Number:
		return slices.Contains([]string{"long", "integer", "short", "byte"}, typ)
	case string:
		switch typ {
		case "date":
			_, err := time.Parse(time.RFC3339, v)
			return err == nil
		case "ip":
			_, err := netip.ParseAddr(v)
			return err == nil
		}
		return typ == "keyword" || typ == "match_only_text"
	}
	return false
}

// TestReadme holds the tables of old names to the mappings.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	aliases, instead, ok := strings.Cut(string(text), "## Names that could not be kept")
	if !ok {
		t.Fatal("no table of names that could not be kept")
	}
	documented := map[string]string{}
	for _, row := range rows(aliases) {
		documented[row[0]] = row[1]
	}
	all := map[string]string{} // every field of every type, with where it leads
	for _, f := range formats(t) {
		for path, field := range composed(t, f.Type()) {
			if field.Type == "alias" {
				if documented[path] != field.Path {
					t.Errorf("README has %s → %q, the template of %s %q", path, documented[path], f.Type(), field.Path)
				}
			}
			all[path] = field.Path
		}
	}
	for name, path := range documented {
		if all[name] != path {
			t.Errorf("README has alias %s → %s, no template has", name, path)
		}
	}
	for _, row := range rows(instead) {
		if _, ok := all[row[1]]; !ok && row[1] != "" {
			t.Errorf("README has %s instead of %s: no field", row[1], row[0])
		}
		if all[row[0]] != "" {
			t.Errorf("README says %s was not kept, and it is an alias", row[0])
		}
	}
}

// rows are the first two columns of the tables in text, without their backquotes.
func rows(text string) (all [][2]string) {
	for line := range strings.SplitSeq(text, "\n") {
		if cells := strings.Split(line, "|"); len(cells) > 3 && strings.Contains(cells[1], "`") {
			all = append(all, [2]string{strings.Trim(cells[1], " `"), strings.Trim(cells[2], " `")})
		}
	}
	return all
}

// recorder answers requests from what it is told.
type recorder struct {
	paths  []string
	bodies map[string]string
	fail   string
}

func (r *recorder) Do(_ context.Context, method, path string, body []byte, _ any) error {
	if path == r.fail {
		return errors.New("refused")
	}
	r.paths = append(r.paths, method+" "+path)
	r.bodies[path] = string(body)
	return nil
}

func TestInstall(t *testing.T) {
	r := &recorder{bodies: map[string]string{}}
	if err := Install(t.Context(), r, Params{Shards: 3, Replicas: 1, RefreshInterval: 45 * time.Second, Codec: "default"}); err != nil {
		t.Fatal(err)
	}
	for _, typ := range formats(t) {
		at := slices.Index(r.paths, "PUT /_index_template/cwl-"+typ.Type())
		var tpl template
		readJSON(t, "template/"+typ.Type()+".json", &tpl)
		for _, name := range tpl.Composed {
			if i := slices.Index(r.paths, "PUT /_component_template/"+name); i < 0 || i > at {
				t.Errorf("%s is not there before the template of %s: %v", name, typ.Type(), r.paths)
			}
		}
	}
	const path = "/_component_template/cwl-settings"
	for _, want := range []string{`"index.number_of_shards":3,`, `"index.number_of_replicas":1,`, `"index.refresh_interval":"45000ms"`, `"index.codec":"default"`} {
		if !strings.Contains(r.bodies[path], want) {
			t.Errorf("settings are without %s: %s", want, r.bodies[path])
		}
	}
	if err := Install(t.Context(), r, Params{}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"index.number_of_shards":1,`, `"index.number_of_replicas":0,`, `"index.refresh_interval":"30s"`, `"index.codec":"best_compression"`} {
		if !strings.Contains(r.bodies[path], want) {
			t.Errorf("settings without parameters lack %s: %s", want, r.bodies[path])
		}
	}
	r.fail = "/_component_template/cwl-geo"
	if err := Install(t.Context(), r, Params{}); err == nil || !strings.Contains(err.Error(), "install component geo: refused") {
		t.Errorf("a refused component: %v", err)
	}
}
