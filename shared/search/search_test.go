package search

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"stepsiem/shared/fault"
)

// TestKind is what a real OpenSearch 3.8 answers: the status alone would send outages to quarantine.
func TestKind(t *testing.T) {
	cause := &Error{Type: "illegal_argument_exception", Reason: "bytes can be at most 32766 in length", Cause: &Error{Type: "max_bytes_length_exceeded_exception"}}
	for _, c := range []struct {
		status int
		err    Error
		want   fault.Kind
	}{
		{400, Error{Type: "mapper_parsing_exception", Reason: "failed to parse field [source.ip] of type [ip]"}, fault.BadInput},
		{400, Error{Type: "document_parsing_exception"}, fault.BadInput},
		{400, Error{Type: "strict_dynamic_mapping_exception"}, fault.BadInput},
		{400, Error{Type: "illegal_argument_exception", Reason: "Document contains at least one immense term in field"}, fault.BadInput},
		{400, Error{Type: "illegal_argument_exception", Reason: "failed", Cause: cause}, fault.BadInput},
		{400, Error{Type: "illegal_argument_exception", Reason: "number of documents in the index cannot exceed 2147483519"}, fault.Unavailable},
		{400, Error{Type: "illegal_argument_exception", Reason: "Limit of total fields [1000] has been exceeded"}, fault.Unavailable},
		{400, Error{Type: "illegal_argument_exception", Reason: "no write index is defined for alias"}, fault.Bug},
		{400, Error{Type: "validation_exception", Reason: "this action would add [2] total shards"}, fault.Unavailable},
		{400, Error{Type: "index_closed_exception", Reason: "closed"}, fault.Conflict},
		{400, Error{Type: "snapshot_in_progress_exception"}, fault.Conflict},
		{403, Error{Type: "cluster_block_exception", Reason: "index blocked by: [FORBIDDEN/8/index write (api)]"}, fault.Conflict},
		{429, Error{Type: "cluster_block_exception", Reason: "disk usage exceeded flood-stage watermark"}, fault.Throttled},
		{429, Error{Type: "circuit_breaking_exception"}, fault.Throttled},
		{429, Error{Type: "rejected_execution_exception"}, fault.Throttled},
		{403, Error{Type: "security_exception", Reason: "no permissions"}, fault.Denied},
		{401, Error{}, fault.Denied},
		{404, Error{Type: "index_not_found_exception"}, fault.NotFound},
		{503, Error{Type: "unavailable_shards_exception"}, fault.Unavailable},
		{500, Error{Type: "exception"}, fault.Unavailable},
		{400, Error{Type: "invalid_index_name_exception"}, fault.Bug},
	} {
		if got := Kind(c.status, &c.err); got != c.want {
			t.Errorf("%d %s: %s, want %s", c.status, &c.err, got, c.want)
		}
	}
}

// server answers the bulk requests that a test says, in turn; the last answer stays.
type server struct {
	*httptest.Server
	bodies  []string
	answers []string // "STATUS body"
}

func serve(t *testing.T, answers ...string) (*server, *Client) {
	t.Helper()
	s := &server{answers: answers}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.bodies = append(s.bodies, string(body))
		code, text, _ := strings.Cut(s.answers[0], " ")
		if len(s.answers) > 1 {
			s.answers = s.answers[1:]
		}
		status, err := strconv.Atoi(code)
		if err != nil {
			panic(http.ErrAbortHandler) // cuts the connection
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		io.WriteString(w, text)
	}))
	t.Cleanup(s.Close)
	c, err := New(Config{Endpoint: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	return s, c
}

// items is a bulk answer of an item each: a status, with the error type behind it if it is no success.
func items(list ...string) string {
	type item struct {
		Status int    `json:"status"`
		Error  *Error `json:"error,omitempty"`
	}
	var answer struct {
		Errors bool              `json:"errors"`
		Items  []map[string]item `json:"items"`
	}
	for _, s := range list {
		var i item
		text, typ, failed := strings.Cut(s, " ")
		fmt.Sscan(text, &i.Status)
		if failed {
			i.Error, answer.Errors = &Error{Type: typ, Reason: "because"}, true
		}
		answer.Items = append(answer.Items, map[string]item{"create": i})
	}
	b, err := json.Marshal(answer)
	if err != nil {
		panic(err)
	}
	return "200 " + string(b)
}

func body(n int) *Body {
	b := &Body{}
	for i := range n {
		b.Buf = fmt.Appendf(b.Buf, "{\"create\":{\"_id\":\"%d\"}}\n{}\n", i)
		b.Add()
	}
	return b
}

const (
	ok        = "201"
	duplicate = "409 version_conflict_engine_exception"
	refused   = "400 mapper_parsing_exception"
	busy      = "429 rejected_execution_exception"
	away      = "503 unavailable_shards_exception"
	down      = "cut"
)

func TestBulk(t *testing.T) {
	for name, c := range map[string]struct {
		answers    []string
		sent       string     // items of each request
		exceptions string     // item number and what became of it
		kind       fault.Kind // of the error
	}{
		"all well":           {[]string{items(ok, ok, ok)}, "012", "", ""},
		"duplicates":         {[]string{items(duplicate, ok, duplicate)}, "012", "0=duplicate 2=duplicate", ""},
		"refused":            {[]string{items(ok, refused, ok)}, "012", "1=mapper_parsing_exception", ""},
		"only the failed":    {[]string{items(ok, busy, away), items(busy, duplicate), items(ok)}, "012 12 1", "2=duplicate", ""},
		"late refusal":       {[]string{items(busy, ok, busy), items(ok, refused)}, "012 02", "2=mapper_parsing_exception", ""},
		"whole 429":          {[]string{"429 {}", items(ok, ok, ok)}, "012 012", "", ""},
		"whole 503":          {[]string{"503 <html>", "503 ", items(ok, ok, ok)}, "012 012 012", "", ""},
		"cut connection":     {[]string{down, items(ok, duplicate, ok)}, "012 012", "1=duplicate", ""},
		"half an answer":     {[]string{`200 {"items":[{"cre`, items(ok, ok, ok)}, "012 012", "", ""},
		"429 in the middle":  {[]string{items(ok, busy, ok), "429 {}", items(ok)}, "012 1 1", "", ""},
		"never":              {[]string{items(busy, busy, busy)}, "012 012 012 012", "", fault.Throttled},
		"always down":        {[]string{down}, "012 012 012 012", "", fault.Unavailable},
		"some never":         {[]string{items(ok, away, ok), items(away)}, "012 1 1 1", "", fault.Partial},
		"too few items":      {[]string{items(ok, ok)}, "012", "", fault.Bug},
		"too many items":     {[]string{items(ok, ok, ok, ok)}, "012", "", fault.Bug},
		"neither nor":        {[]string{`200 {"errors":true,"items":[{"index":{"status":201}},{},{}]}`}, "012", "", fault.Bug},
		"denied":             {[]string{"403 {}"}, "012", "", fault.Denied},
		"blocked index":      {[]string{items(ok, "403 cluster_block_exception", ok)}, "012", "", fault.Conflict},
		"missing index":      {[]string{items(ok, "404 index_not_found_exception", ok)}, "012", "", fault.Bug},
		"bad request":        {[]string{`400 {"error":{"type":"parsing_exception"}}`}, "012", "", fault.Bug}, // our own fault, no document's
		"shard limit":        {[]string{items("400 validation_exception", ok, ok), items(ok)}, "012 0", "", ""},
		"unknown item error": {[]string{items(ok, "400 surprise_exception", ok)}, "012", "", fault.Bug},
	} {
		t.Run(name, func(t *testing.T) {
			s, client := serve(t, c.answers...)
			b := body(3)
			var got []string
			err := client.Bulk(context.Background(), b, Retry{Attempts: 4, Base: time.Millisecond, Max: 2 * time.Millisecond}, func(o Outcome) error {
				what := "duplicate"
				if !o.Duplicate {
					what = o.Refused.Type
				}
				got = append(got, fmt.Sprintf("%d=%s", o.Item, what))
				return nil
			})
			if fault.Of(err) != c.kind {
				t.Errorf("%v is %s, want %q", err, fault.Of(err), c.kind)
			}
			var want []string
			for _, numbers := range strings.Fields(c.sent) {
				part := ""
				for _, n := range numbers {
					part += string(b.Item(int(n - '0')))
				}
				want = append(want, part)
			}
			if !slices.Equal(s.bodies, want) {
				t.Errorf("sent %q, want %q", s.bodies, want)
			}
			if strings.Join(got, " ") != c.exceptions {
				t.Errorf("exceptions %v, want %s", got, c.exceptions)
			}
		})
	}
}

func TestBulkEnds(t *testing.T) {
	_, client := serve(t, items(busy, busy, busy))
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	err := client.Bulk(ctx, body(3), Retry{Attempts: 100, Base: time.Minute, Max: time.Minute}, nil)
	if fault.Of(err) != fault.Unavailable || !strings.Contains(err.Error(), "rejected_execution_exception") || time.Since(start) > 5*time.Second {
		t.Errorf("%v after %v", err, time.Since(start))
	}
	_, client = serve(t, items(duplicate))
	failed := fault.New(fault.Denied, "no ledger")
	if err := client.Bulk(context.Background(), body(1), DefaultRetry, func(Outcome) error { return failed }); err != failed {
		t.Errorf("the caller's error became %v", err)
	}
}

func TestBody(t *testing.T) {
	b := body(3)
	var joined []byte
	for i := range b.Ends {
		joined = append(joined, b.Item(i)...)
	}
	if !bytes.Equal(joined, b.Buf) {
		t.Errorf("%q, want %q", joined, b.Buf)
	}
	if b.Reset(); len(b.Buf)+len(b.Ends) != 0 {
		t.Error("not empty after Reset")
	}
}

func TestDo(t *testing.T) {
	var out struct{ Took int }
	s, client := serve(t, `200 {"took":7}`, `404 {"error":{"type":"index_not_found_exception","reason":"no such index [x]"},"status":404}`, `502 <html>`, `200 {"took":`)
	if err := client.Do(t.Context(), http.MethodPost, "/x/_search", []byte(`{}`), &out); err != nil || out.Took != 7 || s.bodies[0] != "{}" {
		t.Errorf("%+v, %v, sent %q", out, err, s.bodies)
	}
	if err := client.Do(t.Context(), http.MethodGet, "/x", nil, nil); !NotFound(err) || !strings.Contains(err.Error(), "no such index [x]") {
		t.Error(err)
	}
	for range 2 {
		if err := client.Do(t.Context(), http.MethodGet, "/", nil, &out); fault.Of(err) != fault.Unavailable {
			t.Error(err)
		}
	}
	s.Close()
	if err := client.Do(t.Context(), http.MethodGet, "/", nil, nil); fault.Of(err) != fault.Unavailable {
		t.Error(err)
	}
}

func TestHealthy(t *testing.T) {
	for status, want := range map[string]fault.Kind{"green": "", "yellow": "", "red": fault.Unavailable} {
		_, client := serve(t, `200 {"status":"`+status+`"}`)
		if err := client.Healthy(t.Context()); fault.Of(err) != want {
			t.Errorf("%s: %v", status, err)
		}
	}
}

func TestBasicAuth(t *testing.T) {
	var user, password string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ = r.BasicAuth()
	}))
	defer s.Close()
	client, err := New(Config{Endpoint: s.URL, Username: "siem", Password: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Do(t.Context(), http.MethodGet, "/", nil, nil); err != nil || user != "siem" || password != "secret" {
		t.Errorf("%v, %s:%s", err, user, password)
	}
}
