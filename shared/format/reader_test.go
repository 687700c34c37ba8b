package format_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"stepsiem/shared/authlog"
	"stepsiem/shared/cloudtrail"
	"stepsiem/shared/event"
	"stepsiem/shared/fault"
	"stepsiem/shared/format"
	"stepsiem/shared/vpcflowlog"
)

const (
	flow = "2 123456789010 eni-1235b8ca 172.31.16.139 9.9.9.9 20641 22 6 20 4249 1418530010 1418530070 ACCEPT OK"
	auth = "2026-01-31T12:00:00Z web sshd[42]: Failed password for root from 1.2.3.4 port 22 ssh2"
)

// trail is a CloudTrail record of its own id.
func trail(n int) string {
	return fmt.Sprintf(`{"eventVersion":"1.08","userIdentity":{"type":"Root"},"eventTime":"2026-01-31T12:00:00Z","eventSource":"s3.amazonaws.com",`+
		`"eventName":"GetObject","awsRegion":"us-east-1","eventID":"00000000-0000-0000-0000-%012d","recipientAccountId":"123456789010"}`, n)
}

// bomber panics on what no other format takes.
type bomber struct{}

func (bomber) Type() string            { return "bomb" }
func (bomber) Framing() format.Framing { return format.Lines }
func (b bomber) Open() format.Parser   { return b }
func (bomber) Sniff(line []byte) int {
	if bytes.HasPrefix(line, []byte("bomb ")) {
		return 100
	}
	return 0
}
func (bomber) Parse(line []byte, d *event.Doc) error {
	d.Begin(d.Source.Time.UnixMilli())
	switch {
	case bytes.Contains(line, []byte("panic")):
		panic("at the disco")
	case bytes.Contains(line, []byte("fail")):
		return errors.New("no good")
	case bytes.Contains(line, []byte("quiet")):
		return event.Filtered("quiet")
	}
	d.Buf = append(d.Buf, "},"...)
	d.Labels()
	d.Buf = append(d.Buf, "}}"...)
	return nil
}

func formats() []format.Format {
	return []format.Format{cloudtrail.New(cloudtrail.Config{}), vpcflowlog.New(vpcflowlog.Config{}), authlog.New(authlog.Config{}), bomber{}}
}

// result is a sink that keeps everything.
type result struct {
	format.Tally
	docs    []string
	ids     []string
	offsets []int64
	rejects []format.Reject
}

func (r *result) Block(typ string, c *event.Chunk) error {
	for i := range c.Records {
		rec := &c.Records[i]
		r.docs = append(r.docs, string(c.Doc(rec)))
		r.ids = append(r.ids, string(c.ID(rec)))
		r.offsets = append(r.offsets, rec.Offset)
	}
	return nil
}

func (r *result) Reject(j *format.Reject) error {
	j.Raw = bytes.Clone(j.Raw)
	r.rejects = append(r.rejects, *j)
	return nil
}

// summary is what tests compare: type, read/documents/quarantined/filtered.
func (r *result) summary() string {
	filtered := int64(0)
	for _, n := range r.Filtered {
		filtered += n
	}
	return fmt.Sprintf("%s %d/%d/%d/%d", cmp.Or(r.Type, "-"), r.Read, r.Documents, r.Quarantined, filtered)
}

func (r *result) reasons() string {
	var list []string
	for _, j := range r.rejects {
		list = append(list, j.Reason)
	}
	return strings.Join(list, "; ")
}

func options() format.Options {
	return format.Options{Formats: formats(), Batch: "b", Earliest: time.Date(2010, 1, 1, 0, 0, 0, 0, time.UTC),
		Latest: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)}
}

func source(key string) *event.Source {
	return &event.Source{Bucket: "b", Key: key, Path: "s3://b/" + key, Base: filepath.Base(key), Time: time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)}
}

// read reads one object and holds what must be true of every object: the ledger closes over what came out, documents are
// JSON, rejects say why and stay small.
func read(t testing.TB, opt format.Options, key string, body io.Reader) *result {
	t.Helper()
	r, err := try(t, opt, key, body)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func try(t testing.TB, opt format.Options, key string, body io.Reader) (*result, error) {
	t.Helper()
	r := &result{}
	var err error
	r.Tally, err = format.NewReader(opt, r).Read(context.Background(), source(key), 0, body)
	filtered := int64(0)
	for _, n := range r.Filtered {
		filtered += n
	}
	if err == nil && (r.Tally.Read != r.Documents+r.Quarantined+filtered || int(r.Documents) != len(r.docs) || int(r.Quarantined) != len(r.rejects)) {
		t.Errorf("the ledger does not close: %+v with %d documents, %d rejects", r.Tally, len(r.docs), len(r.rejects))
	}
	for _, d := range r.docs {
		if !json.Valid([]byte(d)) {
			t.Errorf("no JSON: %s", d)
		}
	}
	for _, j := range r.rejects {
		if j.Reason == "" || j.Kind == "" || len(j.Raw) > format.MaxRejectBytes || j.Offset < 0 {
			t.Errorf("reject %+v", j)
		}
	}
	return r, err
}

func text(lines ...string) string { return strings.Join(lines, "\n") + "\n" }

func records(n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = trail(i)
	}
	return `{"Records":[` + strings.Join(list, ",") + `]}`
}

func TestRead(t *testing.T) {
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, []byte(records(2)), "", "  "); err != nil {
		t.Fatal(err)
	}
	deep := strings.Repeat(`{"a":`, 10_000) + "1" + strings.Repeat("}", 10_000)
	for name, c := range map[string]struct{ body, want, reasons string }{
		"flow":                   {text(flow, flow), "vpcflowlog 2/2/0/0", ""},
		"flow with header":       {text("version srcaddr dstaddr action", "3 1.2.3.4 10.0.0.1 REJECT"), "vpcflowlog 1/1/0/0", ""},
		"auth":                   {text(auth, auth), "authlog 2/2/0/0", ""},
		"no line end":            {auth, "authlog 1/1/0/0", ""},
		"CRLF and empty lines":   {flow + "\r\n\r\n \n" + flow + "\r\n", "vpcflowlog 2/2/0/0", ""},
		"BOM":                    {"\ufeff" + flow + "\n", "vpcflowlog 1/1/0/0", ""},
		"BOM and JSON":           {"\ufeff" + records(1), "cloudtrail 1/1/0/0", ""},
		"a line of garbage":      {text(auth, "\x00\xff\xfe", auth), "authlog 3/2/1/0", "no timestamp at the start of the line"},
		"garbage first":          {text("hello", auth), "authlog 2/1/1/0", "no timestamp at the start of the line"},
		"nothing known":          {text("hello", "world"), "- 1/0/1/0", "no known log format"},
		"empty":                  {"", "- 1/0/1/0", "empty object"},
		"blanks":                 {" \r\n\n", "- 1/0/1/0", "empty object"},
		"BOM alone":              {"\ufeff", "- 1/0/1/0", "empty object"},
		"records":                {records(3), "cloudtrail 3/3/0/0", ""},
		"no records":             {`{"Records":[]}`, "- 0/0/0/0", ""},
		"pretty":                 {pretty.String(), "cloudtrail 2/2/0/0", ""},
		"records not first":      {`{"padding":[1,2],"Records":[` + trail(1) + "," + trail(2) + `]}`, "cloudtrail 2/2/0/0", ""},
		"records, then more":     {`{"Records":[` + trail(1) + `],"more":{"Records":[1]}}` + trail(2), "cloudtrail 2/2/0/0", ""},
		"array":                  {"[" + trail(1) + "," + trail(2) + "]", "cloudtrail 2/2/0/0", ""},
		"one a line":             {text(trail(1), trail(2)), "cloudtrail 2/2/0/0", ""},
		"back to back":           {trail(1) + trail(2), "cloudtrail 2/2/0/0", ""},
		"garbage between":        {trail(1) + "xyz" + trail(2), "cloudtrail 3/2/1/0", "unexpected bytes between records"},
		"records cut off":        {records(2)[:len(records(2))-40], "cloudtrail 2/1/1/0", "record cut off: unexpected end of JSON"},
		"records without end":    {`{"Records":[` + trail(1), "cloudtrail 2/1/1/0", "unexpected end of JSON"},
		"a line cut off":         {text(trail(1)[:50], trail(2), trail(3)[:50], trail(4)), "cloudtrail 4/2/2/0", "record cut off: no end on its line"},
		"a broken brace first":   {text("{oops", auth, auth), "authlog 3/2/1/0", "no timestamp at the start of the line"},
		"other JSON first":       {text(`{"oops":1}`, auth, auth), "authlog 3/2/1/0", "no timestamp at the start of the line"},
		"last line cut off":      {text(trail(1)) + trail(2)[:50], "cloudtrail 2/1/1/0", "record cut off: unexpected end of JSON"},
		"JSON of something else": {`{"hello":"world"}`, "- 1/0/1/0", "no known log format"},
		"10,000 deep":            {text(trail(1), deep, trail(2)), "cloudtrail 3/2/1/0", "no known log format"},
		"10,000 deep in one":     {strings.Replace(trail(1), `"Root"`, deep, 1), "cloudtrail 1/0/1/0", "nesting deeper"},
		"duplicate keys":         {strings.Replace(trail(1), `{`, `{"eventName":"PutObject",`, 1), "cloudtrail 1/1/0/0", ""},
		"number beyond 2^63":     {strings.Replace(trail(1), `{`, `{"requestParameters":{"n":9999999999999999999999},`, 1), "cloudtrail 1/1/0/0", ""},
		"invalid UTF-8":          {text(strings.Replace(auth, "root", "\xff\x1b[31m", 1)), "authlog 1/1/0/0", ""},
		"10 MB line":             {text(auth, auth+strings.Repeat("x", 10<<20), auth), "authlog 3/2/1/0", "record longer than 2097152 bytes"},
		"10 MB line at the end":  {auth + "\n" + auth + strings.Repeat("x", 10<<20), "authlog 2/1/1/0", "record longer than 2097152 bytes"},
		"10 MB record":           {`{"Records":[` + trail(1) + `,{"a":"` + strings.Repeat("x", 10<<20) + `"},` + trail(2) + `]}`, "cloudtrail 3/2/1/0", "record longer than 2097152 bytes"},
		"too old":                {text(auth, strings.Replace(auth, "2026", "1999", 1)), "authlog 2/1/1/0", "event time 1999-01-31T12:00:00Z is outside 2010-01-01 to 2030-01-01T00:00:00Z"},
		"too new":                {strings.Replace(trail(1), "2026", "2031", 1), "cloudtrail 1/0/1/0", "event time 2031-01-31T12:00:00Z is outside"},
		"absurd time":            {strings.Replace(flow, "1418530010", "99999999999999", 1), "vpcflowlog 1/0/1/0", ""},
		"digest":                 {`{"awsAccountId":"1","digestStartTime":"2026-01-31T12:00:00Z","digestS3Object":"x","logFiles":[]}`, "cloudtrail 1/0/0/1", ""},
		"filtered and failed":    {text("bomb", "bomb quiet", "bomb fail", "bomb "), "bomb 4/2/1/1", "no good"},
		"firehose message":       {`{"message":"` + flow + `"}{"message":"` + flow + `\n"}` + "\n" + `{"message": "` + flow + `"}`, "vpcflowlog 3/3/0/0", ""},
		"message of no format":   {`{"message":"hello"}`, "- 1/0/1/0", "no known log format"},
		"message and more":       {`{"message":"` + flow + `","x":1}`, "- 1/0/1/0", "no known log format"},
		"message that is none":   {`{"message":7}`, "- 1/0/1/0", "no known log format"},
	} {
		t.Run(name, func(t *testing.T) {
			got := read(t, options(), "x", strings.NewReader(c.body))
			if got.summary() != c.want || !strings.Contains(got.reasons(), c.reasons) || (got.Quarantined == 0) != (got.reasons() == "") {
				t.Errorf("%s, want %s\nreasons %.300s, want %s", got.summary(), c.want, got.reasons(), c.reasons)
			}
			if c.body != "" && got.Bytes != int64(len(c.body)) {
				t.Errorf("%d bytes, want %d", got.Bytes, len(c.body))
			}
			for _, j := range got.rejects {
				if j.Kind != fault.BadInput {
					t.Errorf("kind %s: %s", j.Kind, j.Reason)
				}
			}
			slow := read(t, options(), "x", iotest.OneByteReader(strings.NewReader(c.body)))
			if len(c.body) < 1<<20 && (slow.summary() != got.summary() || !slices.Equal(slow.docs, got.docs) || !slices.Equal(slow.ids, got.ids) || slow.reasons() != got.reasons()) {
				t.Errorf("read byte by byte: %s %s", slow.summary(), slow.reasons())
			}
		})
	}
}

// TestRaw holds rejects to their place: offset, length and bytes are those of the record in the object.
func TestRaw(t *testing.T) {
	for name, body := range map[string]string{
		"line":  text(auth, "what is this?", auth),
		"value": text(trail(1), `{"what":"is this?"}`, trail(2)),
		"cut":   text(trail(1)) + trail(2)[:60],
	} {
		got := read(t, options(), "x", strings.NewReader(body))
		if len(got.rejects) != 1 {
			t.Fatalf("%s: %s", name, got.summary())
		}
		if j := got.rejects[0]; j.Offset+j.Length > int64(len(body)) || body[j.Offset:j.Offset+j.Length] != string(j.Raw) || len(j.Raw) < 10 {
			t.Errorf("%s: offset %d, length %d, %q", name, j.Offset, j.Length, j.Raw)
		}
		for i, d := range got.docs {
			var m struct {
				Event struct{ Original string }
			}
			if err := json.Unmarshal([]byte(d), &m); err != nil || !strings.HasPrefix(body[got.offsets[i]:], m.Event.Original) {
				t.Errorf("%s: document %d is not at %d: %v", name, i, got.offsets[i], err)
			}
		}
	}
}

func TestType(t *testing.T) {
	opt := options()
	opt.Type = "authlog"
	if got := read(t, opt, "x", strings.NewReader(text(flow, auth))); got.summary() != "authlog 2/1/1/0" {
		t.Error(got.summary(), got.reasons())
	}
	opt.Type = "cloudtrail"
	if got := read(t, opt, "x", strings.NewReader(text("hello", "world"))); got.summary() != "cloudtrail 1/0/1/0" {
		t.Error(got.summary(), got.reasons())
	}
	custom := options()
	custom.Formats[1] = vpcflowlog.New(vpcflowlog.Config{Fields: []string{"vpc-id", "instance-id"}})
	if got := read(t, custom, "AWSLogs/1/vpcflowlogs/us-east-1/x.log", strings.NewReader(text("vpc-1 i-1"))); got.summary() != "vpcflowlog 1/1/0/0" {
		t.Error("the key's layout is not followed:", got.summary(), got.reasons())
	}
}

func TestPanic(t *testing.T) {
	got := read(t, options(), "x", strings.NewReader(text("bomb 1", "bomb panic", "bomb 2")))
	if got.summary() != "bomb 3/2/1/0" {
		t.Fatal(got.summary())
	}
	if j := got.rejects[0]; j.Kind != fault.Bug || !strings.HasPrefix(j.Reason, "panic: at the disco") || string(j.Raw) != "bomb panic" {
		t.Errorf("%+v", j)
	}
}

// TestOutage cuts the source at every place: whatever was read before, the answer is an error of the outage's kind, and
// nothing is rejected because of it.
func TestOutage(t *testing.T) {
	down := errors.New("connection reset")
	for name, body := range map[string][]byte{"lines": []byte(text(auth, auth)), "json": []byte(records(2)), "gzip": packed(text(auth, auth)),
		"payload": []byte(payload("DATA_MESSAGE", auth)), "garbage": []byte(trail(1) + "garbage")} {
		for cut := range body {
			got, err := try(t, options(), "x", io.MultiReader(bytes.NewReader(body[:cut]), iotest.ErrReader(down)))
			if fault.Of(err) != fault.Unavailable || !errors.Is(err, down) || len(got.rejects) > 0 {
				t.Fatalf("%s cut at %d: %v, rejects: %s", name, cut, err, got.reasons())
			}
		}
	}
	denied := fault.New(fault.Denied, "no")
	if _, err := try(t, options(), "x", iotest.ErrReader(denied)); fault.Of(err) != fault.Denied {
		t.Errorf("kind of %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := format.NewReader(options(), &result{}).Read(ctx, source("x"), 0, strings.NewReader(auth)); fault.Of(err) != fault.Unavailable {
		t.Errorf("kind of %v", err)
	}
}

type full struct{ result }

func (*full) Block(string, *event.Chunk) error { return fault.New(fault.Throttled, "slow down") }

func TestSinkFails(t *testing.T) {
	if _, err := format.NewReader(options(), &full{}).Read(context.Background(), source("x"), 0, strings.NewReader(auth)); fault.Of(err) != fault.Throttled {
		t.Errorf("the sink's error became %v", err)
	}
}

// TestIDs: equal lines of one object are two events, one object delivered twice is one.
func TestIDs(t *testing.T) {
	body := text(auth, auth)
	one := read(t, options(), "2026/auth.log", strings.NewReader(body))
	again := read(t, options(), "other/auth.log", strings.NewReader(body))
	other := read(t, options(), "2026/auth2.log", strings.NewReader(body))
	if one.ids[0] == one.ids[1] || !slices.Equal(one.ids, again.ids) || one.ids[0] == other.ids[0] {
		t.Errorf("%v, again %v, other %v", one.ids, again.ids, other.ids)
	}
}

func TestRealTrails(t *testing.T) {
	files, err := filepath.Glob("../../../shared/data/cloudtrail/*.json.gz")
	if err != nil || len(files) == 0 {
		t.Skip("no real logs here")
	}
	total := int64(0)
	for _, name := range files {
		got := readFile(t, name)
		if got.Documents != got.Read {
			t.Errorf("%s: %s %s", name, got.summary(), got.reasons())
		}
		total += got.Documents
	}
	if total != 1233 {
		t.Errorf("%d records, want 1233", total)
	}
}
