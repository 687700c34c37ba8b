package vpcflowlog

import (
	"encoding/json"
	"testing"
	"time"

	"stepsiem/shared/event"
)

// TestExtractedFields reads lines of formats that only their subscription names.
func TestExtractedFields(t *testing.T) {
	tests := []struct{ name, fields, line, src, dst string }{
		{"swapped", `{"dstaddr":"52.1.1.1","srcaddr":"10.0.0.1","start":"1700000000","end":"1700000060","action":"ACCEPT","log_status":"OK"}`,
			"52.1.1.1 10.0.0.1 ACCEPT OK 1700000060 1700000000", "10.0.0.1", "52.1.1.1"},
		{"equal values keep the default order", `{"srcaddr":"10.0.0.1","dstaddr":"10.0.0.1","srcport":"22","dstport":"22","start":"1700000000","end":"1700000000"}`,
			"10.0.0.1 10.0.0.1 22 22 1700000000 1700000000", "10.0.0.1", "10.0.0.1"},
		{"they name another line: the default format", `{"srcaddr":"9.9.9.9","dstaddr":"8.8.8.8"}`,
			"2 123456789012 eni-1 10.0.0.1 52.1.1.1 1 2 6 1 1 1700000000 1700000060 ACCEPT OK", "10.0.0.1", "52.1.1.1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var d event.Doc
			origin := &event.Origin{ID: []byte("1"), Time: 1700000000000, Fields: []byte(tt.fields)}
			origin.Prepare()
			d.Open(&event.Source{Path: "s3://b/k", Base: "k"}, "vpcflowlog", "b", time.Unix(1700000000, 0))
			d.Reset(0)
			d.Origin = origin
			if err := New(Config{}).Open().Parse([]byte(tt.line), &d); err != nil {
				t.Fatal(err)
			}
			var doc struct {
				Source, Destination struct{ IP string }
				Event               struct{ Original string }
			}
			if err := json.Unmarshal(d.Buf, &doc); err != nil {
				t.Fatal(err)
			}
			if doc.Source.IP != tt.src || doc.Destination.IP != tt.dst || doc.Event.Original != tt.line {
				t.Errorf("document is %s", d.Buf)
			}
		})
	}
}
