package cloudtrail

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"stepsiem/shared/event"
	"stepsiem/shared/format"
)

var update = flag.Bool("update", false, "rewrite the goldens")

var _ format.Format = (*Format)(nil)

func newDoc() *event.Doc {
	d := new(event.Doc)
	d.Open(&event.Source{Path: "s3://landing/a.json.gz", Base: "a.json.gz"}, "cloudtrail", "b1", time.Unix(1769860800, 0))
	d.Reset(0)
	return d
}

func parse(record string) (*event.Doc, error) {
	d := newDoc()
	return d, New(Config{}).Open().Parse([]byte(record), d)
}

// tree reads one JSON text and nothing else; it refuses a name that comes twice in an object.
func tree(text []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var value func() (any, error)
	value = func() (any, error) {
		tok, err := dec.Token()
		switch {
		case err != nil:
			return nil, err
		case tok == json.Delim('{'):
			m := map[string]any{}
			for dec.More() {
				k, err := dec.Token()
				if err != nil {
					return nil, err
				}
				if _, twice := m[k.(string)]; twice {
					return nil, fmt.Errorf("member %q comes twice", k)
				}
				if m[k.(string)], err = value(); err != nil {
					return nil, err
				}
			}
			_, err = dec.Token()
			return m, err
		case tok == json.Delim('['):
			list := []any{}
			for dec.More() {
				v, err := value()
				if err != nil {
					return nil, err
				}
				list = append(list, v)
			}
			_, err = dec.Token()
			return list, err
		}
		return tok, nil
	}
	v, err := value()
	if err == nil && len(bytes.TrimSpace(text[dec.InputOffset():])) > 0 {
		err = fmt.Errorf("text behind the value: %q", text[dec.InputOffset():])
	}
	return v, err
}

// goldens calls f with the records of every golden.
func goldens(tb testing.TB, f func(file, comment string, records []string, documents string)) {
	tb.Helper()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		tb.Fatal("no goldens", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		comment, rest, _ := strings.Cut(string(text), "-- input --\n")
		input, documents, ok := strings.Cut(rest, "-- documents --\n")
		if !ok {
			tb.Fatalf("%s has no documents", file)
		}
		f(file, comment, strings.Split(strings.TrimSuffix(input, "\n"), "\n"), documents)
	}
}

func TestGolden(t *testing.T) {
	goldens(t, func(file, comment string, records []string, want string) {
		var got bytes.Buffer
		for _, r := range records {
			d, err := parse(r)
			if err != nil {
				fmt.Fprintf(&got, "! %v\n", err)
				continue
			}
			if err := json.Indent(&got, d.Buf, "", " "); err != nil {
				t.Errorf("%s: %v in %s", file, err, d.Buf)
			}
			got.WriteByte('\n')
		}
		if *update {
			text := comment + "-- input --\n" + strings.Join(records, "\n") + "\n-- documents --\n" + got.String()
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			return
		}
		if got.String() != want {
			t.Errorf("%s differs (rewrite with -update); got\n%s", file, got.String())
		}
	})
}

func TestBadInput(t *testing.T) {
	ok := func(members string) string { return `{"eventTime":"2026-01-31T12:00:00Z",` + members + `}` }
	for name, c := range map[string]struct{ in, want string }{
		"not an object":         {`[1]`, "no object at offset 0"},
		"text":                  {`hello`, "no object at offset 0"},
		"truncated":             {`{"eventTime":"2026`, "string without end at offset 13"},
		"truncated object":      {`{"eventTime":1`, "no comma or '}' at offset 14"},
		"text behind":           {ok(`"a":1`) + "x", "text behind the object at offset 42"},
		"comma at the end":      {ok(`"a":[1,]`), "no value"},
		"no name":               {ok(``), "no member name"},
		"no colon":              {ok(`"a" 1`), "no colon"},
		"leading zero":          {ok(`"a":01`), "no value"},
		"bare minus":            {ok(`"a":-`), "no value"},
		"no digit":              {ok(`"a":1.`), "behind the point"},
		"no exponent":           {ok(`"a":1e+`), "exponent"},
		"misspelt":              {ok(`"a":nul`), "no value"},
		"not JSON's":            {ok(`"a":NaN`), "no value"},
		"escape":                {ok(`"a":"\x"`), "bad escape"},
		"half an escape":        {ok(`"a":"\u12"`), "bad escape"},
		"line end in a string":  {ok("\"a\":\"x\ny\""), "control character in a string at offset 42"},
		"deep array":            {ok(`"requestParameters":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000)), "nesting deeper than 100"},
		"deep object, unclosed": {ok(strings.Repeat(`"a":{`, 10_000)), "nesting deeper than 100"},
		"no time":               {`{"eventName":"x"}`, "no eventTime"},
		"null time":             {`{"eventTime":null}`, "no eventTime"},
		"no such month":         {`{"eventTime":"2026-13-01T00:00:00Z"}`, "impossible eventTime"},
		"no such day":           {`{"eventTime":"2026-02-29T00:00:00Z"}`, "impossible eventTime"},
		"absurd year":           {`{"eventTime":"0001-01-01T00:00:00Z"}`, "impossible eventTime"},
		"far future":            {`{"eventTime":"9999-12-31T23:59:59Z"}`, "impossible eventTime"},
		"time beyond 2^63":      {`{"eventTime":99999999999999999999}`, "impossible eventTime"},
		"negative time":         {`{"eventTime":-5}`, "impossible eventTime"},
		"time in pieces":        {`{"eventTime":{"year":2026}}`, "impossible eventTime"},
		"hostile time":          {`{"eventTime":"\u001b[31m"}`, `impossible eventTime "\\u001b[31m"`},
	} {
		if _, err := parse(c.in); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
	}
	for _, blank := range []string{"", " \r\n", "\uFEFF"} {
		if _, err := parse(blank); !errors.Is(err, event.ErrSkip) {
			t.Errorf("parse(%q): %v, want ErrSkip", blank, err)
		}
	}
	if _, err := parse(`{"digestStartTime":"2026-01-31T11:00:00Z","logFiles":[]}`); err != Digest {
		t.Errorf("digest: %v", err)
	}
	var filtered event.Filtered
	if !errors.As(error(Digest), &filtered) {
		t.Error("a digest is not counted as filtered")
	}
}

// leaves calls f for every value below v that is no object or array, with its path as OpenSearch's flat_object makes it.
func leaves(path string, v any, f func(path, text string)) {
	switch v := v.(type) {
	case map[string]any:
		for k, v := range v {
			leaves(path+"."+k, v, f)
		}
	case []any:
		for _, v := range v {
			leaves(path, v, f)
		}
	default:
		f(path, fmt.Sprint(v))
	}
}

// TestFlatLimits holds hostile flat_objects below what OpenSearch takes.
func TestFlatLimits(t *testing.T) {
	bad := strings.Repeat("\xff", 70_000)
	deep := func(key, value string) string {
		return strings.Repeat(`{"`+key+`":`, maxDepth-1) + `"` + value + `"` + strings.Repeat("}", maxDepth-1)
	}
	var many strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&many, `"k%d":%d,`, i%1500, i)
	}
	for name, flat := range map[string]string{
		"long text":           `{"a":"` + strings.Repeat("é", 40_000) + `"}`,
		"long bad text":       `{"a":"` + bad + `"}`,
		"long number":         `{"a":` + strings.Repeat("9", 40_000) + `}`,
		"long bare text":      `"` + bad + `"`,
		"long key":            `{"` + bad + `":1}`,
		"deep with long keys": deep(bad[:2000], bad),
		"many twice":          `{` + many.String() + `"z":{` + many.String() + `"z":[{` + many.String() + `"z":1}]}}`,
		"keys equal once cut": `{"` + strings.Repeat("k", 300) + `1":1,"` + strings.Repeat("k", 300) + `2":2}`,
		"bare values":         `[1,[{}],null,{"a":1}]`,
	} {
		for _, member := range []string{"requestParameters", "unheardOf"} {
			d, err := parse(`{"eventTime":"2026-01-31T12:00:00Z","` + member + `":` + flat + `}`)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			doc, err := tree(d.Buf)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			leaves("", doc.(map[string]any)["aws"], func(path, text string) {
				if n := len("aws") + len(path) + 1 + len(text); n > 32_766 || n > 1000 && !strings.Contains(path+text, cutMark) {
					t.Errorf("%s: leaf of %d bytes", name, n)
				}
			})
		}
	}
}

// TestCut: keywords end at a character, and say that they were cut.
func TestCut(t *testing.T) {
	d, err := parse(`{"eventTime":"2026-01-31T12:00:00Z","userAgent":"a` + strings.Repeat("é", 9000) + `","apiVersion":["` + strings.Repeat("z", 9000) + `"]}`)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"original":"a` + strings.Repeat("é", 3999) + cutMark + `"`, `"api_version":"[\"` + strings.Repeat("z", maxText-2) + cutMark + `"`} {
		if !bytes.Contains(d.Buf, []byte(want)) {
			t.Errorf("no %.30s…%s in the document", want, want[len(want)-20:])
		}
	}
}

func TestFirstOfManyKeys(t *testing.T) {
	var b strings.Builder
	for i := range 200 {
		fmt.Fprintf(&b, `,"k%d":%d`, i%100, i)
	}
	d, err := parse(`{"eventTime":"2026-01-31T12:00:00Z","requestParameters":{"a":0` + b.String() + `}}`)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		AWS struct {
			CloudTrail struct {
				Request map[string]int `json:"request_parameters"`
			}
		}
	}
	if err := json.Unmarshal(d.Buf, &doc); err != nil {
		t.Fatal(err)
	}
	m := doc.AWS.CloudTrail.Request
	if len(m) != 101 || m["k0"] != 0 || m["k31"] != 31 || m["k99"] != 99 {
		t.Errorf("request_parameters: %v", m)
	}
}

func TestID(t *testing.T) {
	for id, want := range map[string]string{
		"e0e0e0e0-0000-4000-8000-000000000001": "e0e0e0e0-0000-4000-8000-000000000001",
		"short":                                "",
		strings.Repeat("a", 65):                "",
		"with blank and more":                  "",
		"../../../_delete":                     "",
	} {
		d, err := parse(`{"eventTime":"2026-01-31T12:00:00Z","eventID":"` + id + `"}`)
		if err != nil || string(d.ID) != want {
			t.Errorf("eventID %s: id %q, %v", id, d.ID, err)
		}
		if !bytes.Contains(d.Buf, []byte(`"id":"`+id+`"`)) {
			t.Errorf("eventID %s is not event.id in %s", id, d.Buf)
		}
	}
}

// TestSubscription: the same record by way of a log group has the same id, and event.id only once.
func TestSubscription(t *testing.T) {
	for eventID, want := range map[string]string{"e0e0e0e0-0000-4000-8000-000000000001": "e0e0e0e0-0000-4000-8000-000000000001", "?": "3735"} {
		d := newDoc()
		d.Origin = &event.Origin{Owner: "1", LogGroup: "g", LogStream: "s", ID: []byte("3735")}
		d.Origin.Prepare()
		r := []byte(`{"eventTime":"2026-01-31T12:00:00Z","eventID":"` + eventID + `"}`)
		if err := New(Config{}).Open().Parse(r, d); err != nil {
			t.Fatal(err)
		}
		doc, err := tree(d.Buf)
		if err != nil {
			t.Fatal(err)
		}
		if got := doc.(map[string]any)["event"].(map[string]any)["id"]; got != want {
			t.Errorf("event.id %v, want %s", got, want)
		}
		var c event.Chunk
		c.Commit(d, r, 0)
		if got := string(c.ID(&c.Records[0])); got != want {
			t.Errorf("_id %s, want %s", got, want)
		}
	}
}

func TestSourceMark(t *testing.T) {
	for in, want := range map[string]int32{"9.9.9.9": 0, "10.0.0.1": -1, "ec2.amazonaws.com": -1, "10.0.0.1, 9.9.9.9": -1, " 9.9.9.9 ,x": 0, "::ffff:9.9.9.9": 0} {
		d, err := parse(`{"eventTime":"2026-01-31T12:00:00Z","sourceIPAddress":"` + in + `"}`)
		if err != nil {
			t.Fatal(err)
		}
		var c event.Chunk
		c.Commit(d, nil, 0)
		r := &c.Records[0]
		if r.Source.Addr != want {
			t.Errorf("%s: address %d, want %d", in, r.Source.Addr, want)
		}
		if doc := c.Doc(r); r.Source.Mark > 0 {
			joined := slices.Insert(slices.Clone(doc), int(r.Source.Mark), []byte(`,"geo":{}`)...)
			if v, err := tree(joined); err != nil || v.(map[string]any)["source"].(map[string]any)["geo"] == nil {
				t.Errorf("%s: facts do not fit at the mark: %v in %s", in, err, joined)
			}
		} else if want >= 0 {
			t.Errorf("%s: no mark", in)
		}
	}
}

func TestSniff(t *testing.T) {
	for in, want := range map[string]bool{
		`{"eventVersion":"1.09","userIdentity":{},"eventTime":"x","eventSource":"s","eventName":"n","eventID":"1"}`: true,
		` {"eventVersion":"1.08","eventTime":"x","eventType":"AwsCloudTrailInsight"}`:                               true,
		`{"digestStartTime":"x","digestS3Object":"o","logFiles":[]}`:                                                true,
		`{"messageType":"DATA_MESSAGE","logEvents":[]}`:                                                             false,
		`{"eventName":"x"}`: false,
		`"eventVersion" "eventTime" "eventSource" "eventName" "eventID"`: false,
		"2 123456789010 eni-1 - - - - - - - 1 2 - NODATA":                false,
		"":          false,
		"\x00\xff{": false,
	} {
		if got := New(Config{}).Sniff([]byte(in)); (got >= 75) != want {
			t.Errorf("Sniff(%s) = %d", in, got)
		}
	}
}

func TestClass(t *testing.T) {
	for _, c := range []struct{ source, name, want string }{
		{"ec2.amazonaws.com", "ModifySecurityGroupRules", "SECURITY_GROUP_CHANGE"},
		{"ec2.amazonaws.com", "ReplaceNetworkAclAssociation", "NACL_CHANGE"},
		{"ec2.amazonaws.com", "DeleteDhcpOptions", "NETWORK_CHANGE"},
		{"cloudtrail.amazonaws.com", "StopLogging", "CLOUDTRAIL_CHANGE"},
		{"config.amazonaws.com", "DeleteDeliveryChannel", "AWS_CONFIG_CHANGE"},
		{"s3.amazonaws.com", "DeleteBucketPolicy", "S3BUCKET_POLICY_CHANGE"},
		{"s3.amazonaws.com", "PutBucketPublicAccessBlock", "S3BUCKET_POLICY_CHANGE"},
		{"evil.example.com", "StopLogging", Default},
		{"cloudtrail.amazonaws.com", "DescribeTrails", Default},
	} {
		if got := Class(c.source, c.name); got != c.want {
			t.Errorf("Class(%s, %s) = %s, want %s", c.source, c.name, got, c.want)
		}
	}
}

// TestReal reads real records, when they are there: all of them, each with an id of its own.
func TestReal(t *testing.T) {
	records := real(t)
	ids := map[string]bool{}
	for _, r := range records {
		if n := New(Config{}).Sniff(r); n < 90 {
			t.Errorf("Sniff = %d for %s", n, r)
		}
		d, err := parse(string(r))
		if err != nil {
			t.Fatalf("%v in %s", err, r)
		}
		v, err := tree(d.Buf)
		if err != nil {
			t.Fatalf("%v in %s", err, d.Buf)
		}
		if original := v.(map[string]any)["event"].(map[string]any)["original"]; original != string(r) {
			t.Fatalf("event.original is %s, want %s", original, r)
		}
		ids[string(d.ID)] = true
	}
	if len(ids) != len(records) || len(ids) != 1233 {
		t.Errorf("%d ids of %d records, want 1233", len(ids), len(records))
	}
}

func FuzzParse(f *testing.F) {
	goldens(f, func(_, _ string, records []string, _ string) {
		for _, r := range records {
			f.Add([]byte(r))
		}
	})
	f.Fuzz(func(t *testing.T, record []byte) {
		p, d := New(Config{}).Open(), newDoc()
		err := p.Parse(record, d)
		var filtered event.Filtered
		if err != nil {
			if trimmed := trim(record); json.Valid(trimmed) && trimmed[0] == '{' && !errors.As(err, &filtered) &&
				!strings.Contains(err.Error(), "eventTime") && !strings.Contains(err.Error(), "deeper") {
				t.Fatalf("refused valid JSON: %v", err)
			}
			return
		}
		if !json.Valid(trim(record)) {
			t.Fatalf("took what is no JSON")
		}
		v, err := tree(d.Buf)
		if err != nil {
			t.Fatalf("%v in %s", err, d.Buf)
		}
		doc := v.(map[string]any)
		if at, err := time.Parse(time.RFC3339, fmt.Sprint(doc["@timestamp"])); err != nil || at.UnixMilli() != d.Time {
			t.Fatalf("@timestamp %v of time %d", doc["@timestamp"], d.Time)
		}
		if got, want := doc["event"].(map[string]any)["original"], string([]rune(string(trim(record)))); got != want {
			t.Fatalf("event.original is %q, want %q", got, want)
		}
		leaves("aws", doc["aws"], func(path, text string) {
			if len(path)+1+len(text) > 32_766 {
				t.Fatalf("leaf of %d bytes", len(path)+1+len(text))
			}
		})
		again := newDoc()
		if err := p.Parse(record, again); err != nil || !bytes.Equal(again.Buf, d.Buf) {
			t.Fatalf("parsed again: %v\n%s\n%s", err, d.Buf, again.Buf)
		}
	})
}
