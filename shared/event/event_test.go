package event

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// commit runs documents about text at offsets through one chunk.
func commit(base string, offsets []int64, text string) *Chunk {
	d, c := new(Doc), new(Chunk)
	d.Open(&Source{Path: "s3://bucket/a/" + base, Base: base}, "vpcflowlog", "batch", time.UnixMilli(1700000000000))
	for _, offset := range offsets {
		d.Reset(offset)
		d.Begin(1700000000123)
		d.Original([]byte(text))
		d.Buf = append(d.Buf, `},"source":{"ip":"8.8.8.8"`...)
		d.MarkSource(netip.MustParseAddr("8.8.8.8"))
		d.Buf = append(d.Buf, `},"destination":{"ip":"10.0.0.1"`...)
		d.MarkDestination(netip.MustParseAddr("10.0.0.1"))
		d.Buf = append(d.Buf, "},"...)
		d.Labels()
		d.Buf = append(d.Buf, "}}"...)
		c.Commit(d, []byte(text), 7)
	}
	return c
}

func TestIDs(t *testing.T) {
	offsets := []int64{0, 1, 100, 1 << 40}
	ids := map[string]string{}
	note := func(c *Chunk, what string) {
		for i := range c.Records {
			id := string(c.ID(&c.Records[i]))
			if len(id) != IDLength || strings.Trim(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
				t.Errorf("id %q", id)
			}
			if before, ok := ids[id]; ok {
				t.Errorf("%s %d has the id of %s", what, offsets[i], before)
			}
			ids[id] = what
		}
	}
	note(commit("one.gz", offsets, "a line"), "one.gz")
	note(commit("two.gz", offsets, "a line"), "two.gz")
	note(commit("one.gz", offsets, "another line"), "another line in one.gz")
	for again, c := 0, commit("one.gz", offsets, "a line"); again < len(c.Records); again++ {
		if ids[string(c.ID(&c.Records[again]))] != "one.gz" {
			t.Errorf("offset %d: the same object twice has another id", offsets[again])
		}
	}
}

func TestCommit(t *testing.T) {
	c := commit("one.gz", []int64{5, 6}, "a line")
	for i, r := range c.Records {
		var m map[string]any
		if err := json.Unmarshal(c.Doc(&r), &m); err != nil {
			t.Fatalf("%v in %s", err, c.Doc(&r))
		}
		if m["@timestamp"] != "2023-11-14T22:13:20.123Z" || r.Time != 1700000000123 || r.Offset != int64(5+i) || r.Object != 7 || r.Length != 6 {
			t.Errorf("%+v: %s", r, c.Doc(&r))
		}
		if r.Source.Addr != 0 || c.Addresses.List()[0] != netip.MustParseAddr("8.8.8.8") || r.Destination.Addr != -1 {
			t.Errorf("addresses: %+v", r)
		}
		if before := string(c.Doc(&r)[:r.Source.Mark]); !strings.HasSuffix(before, `"source":{"ip":"8.8.8.8"`) {
			t.Errorf("facts would go behind %s", before)
		}
	}
	if len(c.Addresses.List()) != 1 {
		t.Errorf("%d addresses", len(c.Addresses.List()))
	}
}

func TestGivenIDs(t *testing.T) {
	for _, c := range []struct {
		name     string
		id       string
		origin   string
		want     string
		wantHash bool
	}{
		{"its own", "own", "stream", "own", false},
		{"the log event's", "", "36000000000000", "36000000000000", false},
		{"one that is not plain", "", "a\"b", "", true},
		{"one that is too long", "", strings.Repeat("1", 129), "", true},
		{"none", "", "", "", true},
	} {
		d, chunk := new(Doc), new(Chunk)
		d.Open(&Source{Base: "b"}, "authlog", "batch", time.Unix(0, 0))
		d.Origin = &Origin{ID: []byte(c.origin)}
		d.Reset(0)
		d.ID = []byte(c.id)
		d.Buf = append(d.Buf, "{}"...)
		chunk.Commit(d, []byte("x"), 0)
		got := string(chunk.ID(&chunk.Records[0]))
		if c.wantHash && len(got) != IDLength || !c.wantHash && got != c.want {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}

func TestDropAndNext(t *testing.T) {
	c := commit("one.gz", []int64{1}, "a line")
	d := new(Doc)
	d.Open(&Source{Base: "one.gz"}, "vpcflowlog", "batch", time.Unix(0, 0))
	d.Buf = c.Buf
	d.Reset(2)
	d.Begin(0)
	d.Drop()
	if len(d.Buf) != len(c.Buf) {
		t.Error("Drop leaves bytes behind")
	}
	if c.Next(); len(c.Records) != 0 || len(c.Buf) != 0 || len(c.Addresses.List()) != 1 {
		t.Error("Next keeps records or forgets addresses")
	}
	if c.Reset(); len(c.Addresses.List()) != 0 {
		t.Error("Reset keeps addresses")
	}
}
