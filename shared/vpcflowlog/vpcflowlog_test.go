package vpcflowlog

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stepsiem/shared/event"
	"stepsiem/shared/format"
)

var update = flag.Bool("update", false, "rewrite the goldens")

var (
	_ format.Format = (*Format)(nil)
	_ format.Parser = (*parser)(nil)
)

// parse runs lines through one parser and returns a line of JSON for each: the document, or what became of it.
func parse(f *Format, lines ...string) []string {
	d, c, p := doc(), new(event.Chunk), f.Open()
	out := make([]string, len(lines))
	var offset int64
	for i, line := range lines {
		d.Reset(offset)
		offset += int64(len(line)) + 1
		if err := p.Parse([]byte(line), d); err != nil {
			d.Drop()
			out[i] = "! " + err.Error()
			continue
		}
		c.Commit(d, []byte(line), 0)
		out[i] = string(c.Doc(&c.Records[len(c.Records)-1]))
	}
	return out
}

func eni(id string) (Interface, bool) {
	switch id {
	case "eni-1235b8ca123456789":
		return Interface{VPC: "vpc-known", SecurityGroups: []string{"sg-1", "sg-2"}}, true
	}
	return Interface{}, false
}

// decode fails the test unless text is one JSON object without duplicate keys.
func decode(t testing.TB, text string) map[string]any {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(text))
	var walk func() any
	walk = func() any {
		tok, err := dec.Token()
		if err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		switch tok {
		case json.Delim('{'):
			m := map[string]any{}
			for dec.More() {
				k := walk().(string)
				if _, twice := m[k]; twice {
					t.Fatalf("key %s twice in %s", k, text)
				}
				m[k] = walk()
			}
			_, _ = dec.Token()
			return m
		case json.Delim('['):
			list := []any{}
			for dec.More() {
				list = append(list, walk())
			}
			_, _ = dec.Token()
			return list
		}
		return tok
	}
	m, ok := walk().(map[string]any)
	if !ok || dec.More() {
		t.Fatalf("not one object: %s", text)
	}
	return m
}

// get follows a dotted path.
func get(m map[string]any, path string) any {
	var v any = m
	for key := range strings.SplitSeq(path, ".") {
		inner, _ := v.(map[string]any)
		v = inner[key]
	}
	return v
}

func TestGoldens(t *testing.T) {
	const input, documents = "-- input --\n", "-- documents --\n"
	files, _ := filepath.Glob("testdata/*.txtar")
	if len(files) == 0 {
		t.Fatal("no goldens")
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			in, want, ok := strings.Cut(strings.TrimPrefix(string(text), input), documents)
			if !ok {
				t.Fatal("no documents")
			}
			var got bytes.Buffer
			for _, line := range parse(New(Config{ENI: eni}), strings.Split(strings.TrimSuffix(in, "\n"), "\n")...) {
				if !strings.HasPrefix(line, "!") {
					decode(t, line)
					if err := json.Indent(&got, []byte(line), "", " "); err != nil {
						t.Fatal(err)
					}
					line = ""
				}
				got.WriteString(line + "\n")
			}
			if *update {
				if err := os.WriteFile(file, []byte(input+in+documents+got.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got.String() != want {
				t.Errorf("got:\n%s\nwant:\n%s", got.String(), want)
			}
		})
	}
}

func TestBadLines(t *testing.T) {
	const good = "2 123456789010 eni-1 9.9.9.9 10.0.0.2 443 50000 6 20 4249 1418530010 1418530070 ACCEPT OK"
	if got := parse(New(Config{}), good)[0]; strings.HasPrefix(got, "!") {
		t.Fatal(got)
	}
	swap := func(f field, value string) string {
		parts := strings.Fields(good)
		parts[f] = value
		return strings.Join(parts, " ")
	}
	for line, want := range map[string]string{
		"":                                            "not a record",
		"garbage":                                     "14 fields",
		"12345":                                       "14 fields",
		good + " more":                                "14 fields",
		strings.TrimSuffix(good, " OK"):               "14 fields",
		" " + good:                                    "empty",
		good + " ":                                    "14 fields",
		strings.Repeat("1 ", 14)[:28] + " ":           "empty",
		strings.TrimSuffix(good, "OK"):                "empty",
		strings.Replace(good, " ", "  ", 1):           "empty",
		strings.Repeat("x", maxLine) + good:           "longer than 16384",
		strings.Repeat(" ", maxLine):                  "empty",
		swap(version, "-2"):                           "version",
		swap(version, "2.0"):                          "version",
		swap(srcAddr, "999.1.1.1"):                    "srcaddr",
		swap(srcAddr, "1.1.1"):                        "srcaddr",
		swap(srcAddr, "01.1.1.1"):                     "srcaddr",
		swap(dstAddr, "fe80::1%eth0"):                 "dstaddr",
		swap(dstAddr, "10.0.0.0/8"):                   "dstaddr",
		swap(srcPort, "65536"):                        "srcport",
		swap(srcPort, "00080"):                        "srcport",
		swap(dstPort, "+80"):                          "dstport",
		swap(dstPort, "0x50"):                         "dstport",
		swap(protocol, "256"):                         "protocol",
		swap(protocol, "tcp"):                         "protocol",
		swap(packets, "1e3"):                          "packets",
		swap(packets, "9223372036854775808"):          "packets",
		swap(octets, "18446744073709551616"):          "bytes",
		swap(octets, "99999999999999999999999999999"): "bytes",
		swap(start, "253402300800"):                   "start",
		swap(start, "1418530010.5"):                   "start",
		swap(end, "-1"):                               "end",
		swap(end, "9223372036854775807"):              "end",
		swap(action, "accept"):                        "action",
		swap(logStatus, "FINE"):                       "log-status",
		swap(srcAddr, "9.9.9.9\x00"):                  "srcaddr",
	} {
		if got := parse(New(Config{}), line)[0]; !strings.HasPrefix(got, "! ") || !strings.Contains(got, want) {
			t.Errorf("%.120q: %s, want %s", line, got, want)
		}
	}
	for f, err := range invalid {
		if err != nil && !strings.Contains(err.Error(), names[f]) {
			t.Errorf("%v does not name %s", err, names[f])
		}
	}
}

func TestBadLinesDoNotAllocate(t *testing.T) {
	p, d := New(Config{Fields: []string{"srcaddr", "action"}}).Open(), doc()
	for _, line := range []string{"2 1 eni-1 x 10.0.0.2 1 2 6 20 42 1 2 ACCEPT OK", "1 2 3", "1.1.1.1 x", strings.Repeat("- ", 999),
		"garbage 1 2", "garbage" + strings.Repeat("?", 999)} {
		line := []byte(line)
		if n := testing.AllocsPerRun(100, func() {
			if p.Parse(line, d) == nil {
				t.Error("no error")
			}
		}); n > 0 {
			t.Errorf("%.30s: %v allocations", line, n)
		}
	}
}

func TestSniff(t *testing.T) {
	custom := New(Config{Fields: []string{"${interface-id}", "${srcaddr}", "${pkt-srcaddr}"}})
	words := New(Config{Fields: []string{"interface-id", "vpc-id"}})
	for _, c := range []struct {
		f    *Format
		line string
		want int
	}{
		{New(Config{}), v2, 100},
		{New(Config{}), v5, 100},
		{New(Config{}), strings.ToUpper(strings.ReplaceAll(v5, "-", "_")), 100},
		{New(Config{}), "2 unknown eni-1 9.9.9.9 10.0.0.2 443 50000 6 20 4249 1418530010 1418530070 ACCEPT OK", 95},
		{New(Config{}), "2 123456789010 eni-1 - - - - - - - 1431280876 1431280934 - NODATA", 95},
		{New(Config{}), "2 123456789010 eni-1 x 10.0.0.2 443 50000 6 20 4249 1418530010 1418530070 ACCEPT OK", 60},
		{custom, "eni-1 9.9.9.9 -", 95},
		{custom, "2 123456789010 eni-1 - - - - - - - 1431280876 1431280934 - NODATA", 95},
		{custom, "eni-1 vpc-1 -", 0},
		{words, "any thing", 30},
		{New(Config{}), "", 0},
		{New(Config{}), `{"Records":[]}`, 0},
		{New(Config{}), "Jan 31 12:00:00 ip-10-0-0-1 sshd[1]: Invalid user start from 1.2.3.4 port 22", 0},
		{New(Config{}), "user start action region are words that people write too", 0},
		{New(Config{}), "the action started", 0},
	} {
		if got := c.f.Sniff([]byte(c.line)); got != c.want {
			t.Errorf("%q: %d, want %d", c.line, got, c.want)
		}
	}
}

func TestConfiguredFieldsBesideDefault(t *testing.T) {
	f := New(Config{Fields: strings.Fields("${srcaddr} ${dstaddr} ${action} ${start} ${colour}")})
	got := parse(f, "9.9.9.9 10.0.0.1 REJECT 1418530010 red", "2 123456789010 eni-1 - - - - - - - 1431280876 1431280934 - NODATA")
	if m := decode(t, got[0]); get(m, "source.ip") != "9.9.9.9" || get(m, "aws.vpcflow.extra.colour") != "red" || get(m, "event.action") != "reject" {
		t.Error(got[0])
	}
	if m := decode(t, got[1]); get(m, "event.action") != "nodata" {
		t.Error(got[1])
	}
}

func TestKeep(t *testing.T) {
	lines := map[string]string{
		"public":   "2 1 eni-1 9.9.9.9 10.0.0.2 443 50000 6 20 4249 1418530010 1418530070 ACCEPT OK",
		"private":  "2 1 eni-1 10.0.0.1 10.0.0.2 443 50000 6 20 4249 1418530010 1418530070 ACCEPT OK",
		"rejected": "2 1 eni-1 10.0.0.1 10.0.0.2 443 50000 6 20 4249 1418530010 1418530070 REJECT OK",
		"nodata":   "2 1 eni-1 - - - - - - - 1418530010 1418530070 - NODATA",
		"bad":      "2 1 eni-1 - - - - - - - 1418530010 1418530070 - WHAT",
	}
	for keep, kept := range map[Keep]string{All: "public private rejected nodata", "": "public private rejected nodata", Public: "public", Rejected: "rejected"} {
		for name, line := range lines {
			d := doc()
			d.Reset(0)
			err := New(Config{Keep: keep}).Open().Parse([]byte(line), d)
			var filtered event.Filtered
			switch {
			case name == "bad":
				if err == nil || errors.As(err, &filtered) {
					t.Errorf("%s %s: %v", keep, name, err)
				}
			case strings.Contains(kept, name) != (err == nil), err != nil && !errors.As(err, &filtered):
				t.Errorf("%s %s: %v", keep, name, err)
			}
		}
	}
}

func TestTimestampWithoutWindow(t *testing.T) {
	f, d := New(Config{Fields: []string{"srcaddr", "action"}}), doc()
	d.Source.Time = d.Source.Time.AddDate(2000, 0, 0)
	d.Reset(0)
	if err := f.Open().Parse([]byte("9.9.9.9 ACCEPT"), d); err != nil || d.Time != d.Source.Time.UnixMilli() {
		t.Error(err, d.Time)
	}
	d.Reset(0)
	d.Origin = &event.Origin{Time: 1234567890123}
	if err := f.Open().Parse([]byte("9.9.9.9 ACCEPT"), d); err != nil || d.Time != 1234567890123 {
		t.Error(err, d.Time)
	}
}
