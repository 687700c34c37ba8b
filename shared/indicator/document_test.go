package indicator

import (
	"encoding/json"
	"net/netip"
	"testing"
)

func TestAppendFields(t *testing.T) {
	s := load(t, build(t, append([]Entry{
		{Prefix: netip.MustParsePrefix("9.9.9.9/32"), Feeds: []string{"q\"\x1b"}},
	}, nested...)))
	match := func(addr string) *Match {
		if m, ok := s.Match(netip.MustParseAddr(addr)); ok {
			return &m
		}
		return nil
	}
	seen := `,"first_seen":"2026-01-22T12:00:00Z","last_seen":"2026-01-30T12:00:00Z"`
	for _, c := range []struct{ name, source, destination, want string }{
		{"none", "1.1.1.1", "1.1.1.2", `{"matched":false,"set":"v"}`},
		{"source", "45.9.20.7", "1.1.1.1", `{"matched":true,"set":"v","side":["source"],"indicator":{"type":"ipv4-addr","name":"45.9.20.7","ip":"45.9.20.7"` + seen +
			`,"confidence":"High","score":90,"provider":["drop","ipsum","wide"]},"feed":{"name":["drop","ipsum","wide"]}}`},
		{"prefix", "45.9.1.1", "1.1.1.1", `{"matched":true,"set":"v","side":["source"],"indicator":{"type":"ipv4-addr","name":"45.9.0.0/16","ip":"45.9.1.1"` + seen +
			`,"confidence":"Medium","score":60,"provider":["drop","wide"]},"feed":{"name":["drop","wide"]}}`},
		{"destination", "1.1.1.1", "2a0a:1::7", `{"matched":true,"set":"v","side":["destination"],"indicator":{"type":"ipv6-addr","name":"2a0a:1::7","ip":"2a0a:1::7"` + seen +
			`,"confidence":"High","score":100,"provider":["drop","ipsum"]},"feed":{"name":["drop","ipsum"]}}`},
		{"both", "45.200.0.1", "2a0a:7::1", `{"matched":true,"set":"v","side":["source","destination"],"indicator":{"type":"ipv4-addr","name":"45.0.0.0/8","ip":["45.200.0.1","2a0a:7::1"]` + seen +
			`,"confidence":"Low","score":10,"provider":["wide"]},"feed":{"name":["drop","wide"]}}`},
		{"one address on both sides", "45.200.0.1", "45.200.0.1", `{"matched":true,"set":"v","side":["source","destination"],"indicator":{"type":"ipv4-addr","name":"45.0.0.0/8","ip":"45.200.0.1"` + seen +
			`,"confidence":"Low","score":10,"provider":["wide"]},"feed":{"name":["wide"]}}`},
		{"no times, hostile name", "9.9.9.9", "1.1.1.1", `{"matched":true,"set":"v","side":["source"],"indicator":{"type":"ipv4-addr","name":"9.9.9.9","ip":"9.9.9.9"` +
			`,"confidence":"None","score":0,"provider":["q\"\u001b"]},"feed":{"name":["q\"\u001b"]}}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := string(AppendFields([]byte(`{"a":1`), "v", match(c.source), match(c.destination)))
			if want := `{"a":1,"threat":` + c.want; got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			if !json.Valid([]byte(got + "}")) {
				t.Error("not JSON")
			}
		})
	}
}

// Matches travel between tasks as JSON.
func TestMatchJSON(t *testing.T) {
	m, _ := load(t, build(t, nested)).Match(netip.MustParseAddr("45.9.20.7"))
	data, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"addr":"45.9.20.7","prefix":"45.9.20.7/32","feeds":["drop","ipsum","wide"],"first_seen":"2026-01-22T12:00:00Z","last_seen":"2026-01-30T12:00:00Z","confidence":90}`
	if string(data) != want {
		t.Errorf("got %s", data)
	}
	var back Match
	if err := json.Unmarshal(data, &back); err != nil || string(AppendFields(nil, "v", &back, nil)) != string(AppendFields(nil, "v", &m, nil)) {
		t.Errorf("%+v, %v", back, err)
	}
}

func BenchmarkAppendFields(b *testing.B) {
	m, _ := load(b, build(b, nested)).Match(netip.MustParseAddr("45.9.20.7"))
	for name, source := range map[string]*Match{"matched": &m, "unmatched": nil} {
		b.Run(name, func(b *testing.B) {
			var dst []byte
			b.ReportAllocs()
			for b.Loop() {
				dst = AppendFields(dst[:0], "20260131T120000Z-0123456789ab", source, nil)
			}
			b.SetBytes(int64(len(dst)))
		})
	}
}
