package kibana

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stepsiem/sam/local"
	"stepsiem/shared/event"
	"stepsiem/shared/join"
	"stepsiem/shared/search"
)

// openSearch starts a node, beside the smallest stack there is.
func openSearch(t *testing.T) *search.Client {
	t.Helper()
	module := t.TempDir()
	if err := os.CopyFS(module, os.DirFS("../sam/local/testdata/stub")); err != nil {
		t.Fatal(err)
	}
	c := local.Config{Home: t.TempDir(), Template: filepath.Join(module, "template.yaml"), Log: func(line string) { t.Log(line) }}
	t.Cleanup(func() {
		if err := local.Down(context.Background(), c.Home); err != nil {
			t.Error(err)
		}
	})
	s, err := local.Up(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	client, err := search.New(search.Config{Endpoint: s.Search})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// TestOpenSearch installs the templates in a real OpenSearch, twice, indexes every golden document under mappings that
// refuse unknown fields, and finds them by the old names.
func TestOpenSearch(t *testing.T) {
	if testing.Short() {
		t.Skip("starts servers")
	}
	c := openSearch(t)
	for range 2 {
		if err := Install(t.Context(), c, Params{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range formats(t) {
		t.Run(f.Type(), func(t *testing.T) {
			simulate(t, c, f.Type())
			strict(t, c, f.Type())
			var body search.Body
			chunks(t, f, func(chunk *event.Chunk, facts *join.Facts) {
				for i := range chunk.Records { // some goldens share an id, so none is given
					r := &chunk.Records[i]
					body.Buf = append(body.Buf, `{"create":{"_index":"`+join.Index(f.Type(), r.Time)+"\"}}\n"...)
					body.Buf = append(facts.AppendDocument(body.Buf, chunk, r), '\n')
					body.Add()
				}
			})
			err := c.Bulk(t.Context(), &body, search.DefaultRetry, func(o search.Outcome) error {
				t.Errorf("%s: %s", o.Refused, body.Item(o.Item))
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Do(t.Context(), http.MethodPost, "/cwl-"+f.Type()+"-*/_refresh", nil, nil); err != nil {
				t.Fatal(err)
			}
			if n := count(t, c, f.Type(), "*"); n != len(body.Ends) {
				t.Errorf("%d documents of %d", n, len(body.Ends))
			}
			for path, field := range composed(t, f.Type()) {
				if field.Type != "alias" {
					continue
				}
				if got, want := exists(t, c, f.Type(), path), exists(t, c, f.Type(), field.Path); got != want || got == 0 {
					t.Errorf("%d documents have %s, %d %s", got, path, want, field.Path)
				}
			}
		})
	}
	for typ, queries := range map[string][]string{
		"cloudtrail": {"eventName:RunInstances", "eventSource:ec2.amazonaws.com AND awsRegion:eu-central-1", `sourceIPAddress:"198.18.0.7"`, "userName:alice",
			`userIdentity.userName:alice`, "userArn:*alice", "eventTime:[2026-01-01 TO 2026-12-31]", "inThreatFeed:true AND geoip.country_name:Brazil", "notification:cloudtrail",
			"aws.cloudtrail.request_parameters.bucketName:*", "alice"},
		"vpcflowlog": {`srcaddr:"10.0.0.0/8"`, "dstport:443 AND protocol:tcp", "action:ACCEPT AND log_status:OK", `direction:public\-inbound`, "SGID:sg-2", "bytes:>100",
			"dstportinfo:https", "inThreatFeed:true", "geoip.isOnAWS:true", "@log_group:group"},
		"authlog": {"logType:FailedLogin", "logType:sudo AND sudoCommand:*crontab*", "IP:9.9.9.9", "@message:password", "isSSHLog:true", "geoip.city_name:*Paulo", "@owner:123456789012", "root"},
	} {
		for _, q := range queries {
			if count(t, c, typ, q) == 0 {
				t.Errorf("%s: %s finds nothing", typ, q)
			}
		}
	}
	aggregate(t, c)
}

// simulate checks what a day's index of a type would be.
func simulate(t *testing.T, c *search.Client, typ string) {
	t.Helper()
	var answer struct {
		Template struct {
			Mappings mapping
			Settings struct {
				Index struct {
					Codec    string
					Replicas string `json:"number_of_replicas"`
				}
			}
		}
	}
	if err := c.Do(t.Context(), http.MethodPost, "/_index_template/_simulate_index/cwl-"+typ+"-2026.01.31", nil, &answer); err != nil {
		t.Fatal(err)
	}
	tpl := answer.Template
	if tpl.Mappings.Dynamic != "false" || tpl.Settings.Index.Codec != "best_compression" || tpl.Settings.Index.Replicas != "0" {
		t.Errorf("an index would have dynamic %v and %+v", tpl.Mappings.Dynamic, tpl.Settings)
	}
	for path, want := range composed(t, typ) {
		if got := tpl.Mappings.fields()[path]; got == nil || got.Type != want.Type || got.Path != want.Path {
			t.Errorf("%s would be %+v", path, got)
		}
	}
}

// strict makes the indices of a type refuse documents with unknown fields.
func strict(t *testing.T, c *search.Client, typ string) {
	t.Helper()
	var tpl map[string]any
	readJSON(t, "template/"+typ+".json", &tpl)
	tpl["priority"] = 201
	tpl["template"] = map[string]any{"mappings": map[string]any{"dynamic": "strict"}}
	body, err := json.Marshal(tpl)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Do(t.Context(), http.MethodPut, "/_index_template/strict-"+typ, body, nil); err != nil {
		t.Fatal(err)
	}
	if err := c.Do(t.Context(), http.MethodPost, "/cwl-"+typ+"-2000.01.01/_doc", []byte(`{"@timestamp":"2000-01-01T00:00:00Z","unknown":1}`), nil); err == nil {
		t.Error("an unknown field is not refused")
	}
}

// count is how many documents of a type a query of Lucene's syntax finds.
func count(t *testing.T, c *search.Client, typ, query string) int {
	t.Helper()
	var answer struct{ Count int }
	if err := c.Do(t.Context(), http.MethodGet, "/cwl-"+typ+"-*/_count?q="+url.QueryEscape(query), nil, &answer); err != nil {
		t.Error(err)
	}
	return answer.Count
}

// exists is how many documents of a type have a field.
func exists(t *testing.T, c *search.Client, typ, field string) int {
	t.Helper()
	var answer struct{ Count int }
	if err := c.Do(t.Context(), http.MethodPost, "/cwl-"+typ+"-*/_count", []byte(`{"query":{"exists":{"field":"`+field+`"}}}`), &answer); err != nil {
		t.Error(err)
	}
	return answer.Count
}

// aggregate draws what old panels drew: a map, a sum and a table, by the old names.
func aggregate(t *testing.T, c *search.Client) {
	t.Helper()
	for typ, aggregation := range map[string]string{
		"authlog":    `{"terms":{"field":"logType"},"aggs":{"map":{"geohash_grid":{"field":"geoip.location"}}}}`,
		"vpcflowlog": `{"terms":{"field":"dstport"},"aggs":{"sum":{"sum":{"field":"bytes"}}}}`,
		"cloudtrail": `{"terms":{"field":"eventName"},"aggs":{"days":{"date_histogram":{"field":"eventTime","calendar_interval":"day"}}}}`,
	} {
		var answer struct {
			Aggregations struct {
				A struct {
					Buckets []json.RawMessage
				}
			}
		}
		body := `{"size":0,"aggs":{"a":` + aggregation + `}}`
		if err := c.Do(t.Context(), http.MethodPost, "/cwl-"+typ+"-*/_search", []byte(body), &answer); err != nil {
			t.Error(err)
		}
		if buckets := answer.Aggregations.A.Buckets; len(buckets) == 0 || strings.Contains(string(buckets[0]), `"buckets":[]`) {
			t.Errorf("%s by %s: %s", typ, aggregation, buckets)
		}
	}
}
