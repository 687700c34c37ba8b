package join

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"stepsiem/shared/event"
	"stepsiem/shared/indicator"
)

var (
	private = netip.MustParseAddr("10.0.0.1")
	public  = netip.MustParseAddr("8.8.8.8")
	other   = netip.MustParseAddr("2a00:1450:4001::1")
)

// chunk holds one document with source src and destination dst.
func chunk(src, dst netip.Addr) *event.Chunk {
	var c event.Chunk
	var d event.Doc
	d.Open(&event.Source{Path: "s3://b/k", Base: "k"}, "vpcflowlog", "b", time.Unix(0, 0))
	d.Reset(7)
	d.Begin(1_700_000_000_000)
	d.Buf = append(d.Buf, `},"source":{"ip":"`+src.String()+`"`...)
	d.MarkSource(src)
	d.Buf = append(d.Buf, `},"destination":{"ip":"`+dst.String()+`"`...)
	d.MarkDestination(dst)
	d.Buf = append(d.Buf, `},`...)
	d.Labels()
	d.Buf = append(d.Buf, "}}"...)
	c.Commit(&d, []byte("raw"), 0)
	return &c
}

func TestAppendItem(t *testing.T) {
	geo := [][]byte{[]byte(`,"geo":{"city_name":"A"}`), []byte(`,"geo":{"city_name":"B"}`)}
	match := &indicator.Match{Addr: public, Entry: indicator.Entry{Prefix: netip.PrefixFrom(public, 32), Feeds: []string{"f"}}}
	tests := []struct {
		name             string
		src, dst         netip.Addr
		facts            Facts
		srcCity, dstCity string
		threat           string
	}{
		{"no facts", public, private, Facts{}, "", "", "null"},
		{"source", public, private, Facts{Geo: geo}, "A", "", "null"},
		{"destination", private, public, Facts{Geo: geo, Version: "v"}, "", "A", "false"},
		{"both, matched", public, other, Facts{Geo: geo, Version: "v", Threat: map[int32]*indicator.Match{0: match}}, "A", "B", "true"},
		{"fewer answers than addresses", public, other, Facts{Geo: geo[:1]}, "A", "", "null"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := chunk(tt.src, tt.dst)
			item := tt.facts.AppendItem(nil, "vpcflowlog", c, &c.Records[0])
			lines := bytes.Split(item, []byte("\n"))
			if want := fmt.Sprintf(`{"create":{"_index":"cwl-vpcflowlog-2023.11.14","_id":"%s"}}`, c.ID(&c.Records[0])); string(lines[0]) != want || len(lines) != 3 {
				t.Errorf("action is %s", lines[0])
			}
			type side struct {
				Geo struct {
					City string `json:"city_name"`
				}
			}
			var doc struct {
				Source, Destination side
				Threat              struct{ Matched json.RawMessage }
			}
			if err := json.Unmarshal(lines[1], &doc); err != nil {
				t.Fatalf("%v: %s", err, lines[1])
			}
			if doc.Source.Geo.City != tt.srcCity || doc.Destination.Geo.City != tt.dstCity || (tt.threat != "null" && string(doc.Threat.Matched) != tt.threat) || (tt.threat == "null") != (doc.Threat.Matched == nil) {
				t.Errorf("document is %s", lines[1])
			}
		})
	}
}

func TestAnswersRoundTrip(t *testing.T) {
	var b bytes.Buffer
	want := []netip.Addr{public, other}
	if err := WriteAddresses(&b, want); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadAddresses(&b); err != nil || !slices.Equal(got, want) {
		t.Errorf("addresses are %v, %v", got, err)
	}
	b.Reset()
	if err := WriteGeo(&b, 3, func(dst []byte, i int) []byte { return append(dst, "x"[:i%2]...) }); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadGeo(&b); err != nil || len(got) != 3 || len(got[0]) != 0 || string(got[1]) != "x" {
		t.Errorf("geo answers are %q, %v", got, err)
	}
	if _, err := ReadGeo(bytes.NewReader([]byte("no such stream"))); err == nil {
		t.Error("garbage was read")
	}
}
