package indicator

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"stepsiem/shared/fault"
)

var (
	noon = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	day  = 24 * time.Hour
)

func entry(prefix string, confidence int, feeds ...string) Entry {
	return Entry{Prefix: netip.MustParsePrefix(prefix), Feeds: feeds, FirstSeen: noon.Add(-9 * day), LastSeen: noon.Add(-day), Confidence: confidence}
}

func build(t testing.TB, entries []Entry) []byte {
	t.Helper()
	data, err := Build(noon, entries)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func load(t testing.TB, data []byte) *Set {
	t.Helper()
	s, err := Load(data)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var nested = []Entry{
	entry("45.0.0.0/8", 10, "wide"),
	entry("45.9.0.0/16", 60, "drop", "wide"),
	entry("45.9.20.7/32", 90, "ipsum"),
	entry("45.9.20.9/32", 90, "ipsum"),
	entry("8.8.8.8/32", 0, "odd"),
	entry("2a0a::/29", 40, "drop"),
	entry("2a0a:1::/64", 50, "drop"),
	entry("2a0a:1::7/128", 100, "ipsum"),
}

func TestMatch(t *testing.T) {
	s := load(t, build(t, nested))
	for addr, want := range map[string]string{
		"45.9.20.7":        "45.9.20.7/32 [drop ipsum wide] 90",
		"::ffff:45.9.20.7": "45.9.20.7/32 [drop ipsum wide] 90",
		"45.9.20.8":        "45.9.0.0/16 [drop wide] 60",
		"45.200.0.1":       "45.0.0.0/8 [wide] 10",
		"45.255.255.255":   "45.0.0.0/8 [wide] 10",
		"8.8.8.8":          "8.8.8.8/32 [odd] 0",
		"2a0a:1::7":        "2a0a:1::7/128 [drop ipsum] 100",
		"2a0a:1::8":        "2a0a:1::/64 [drop] 50",
		"2a0a:7::":         "2a0a::/29 [drop] 40",
		"8.8.8.9":          "",
		"46.0.0.0":         "",
		"2a0a:8::":         "",
		"2001::":           "",
		"0.0.0.0":          "",
		"ffff::":           "",
	} {
		a := netip.MustParseAddr(addr)
		got := ""
		if m, ok := s.Match(a); ok {
			got = fmt.Sprint(m.Prefix, m.Feeds, m.Confidence)
			got = strings.Replace(strings.Replace(got, "[", " [", 1), "]", "] ", 1)
			got = strings.Join(strings.Fields(got), " ")
			if m.Addr != a.Unmap() || !m.FirstSeen.Equal(noon.Add(-9*day)) || !m.LastSeen.Equal(noon.Add(-day)) || !m.Expires.IsZero() {
				t.Errorf("%s: %+v", addr, m)
			}
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", addr, got, want)
		}
	}
	if _, ok := s.Match(netip.Addr{}); ok {
		t.Error("the zero Addr matches")
	}
	if got := slices.Collect(s.All()); s.Len() != len(nested) || !reflect.DeepEqual(got, normal(nested)) {
		t.Errorf("All: %v", got)
	}
	if !strings.HasPrefix(s.Version(), "20260131T120000Z-") || !s.Created().Equal(noon) {
		t.Errorf("version %s, created %s", s.Version(), s.Created())
	}
}

func TestBuildMerges(t *testing.T) {
	a, b := entry("45.9.20.7/32", 30, "b", "a", "b"), entry("45.9.20.7/32", 70, "c")
	a.Expires, b.Expires = noon.Add(day), noon.Add(2*day)
	b.FirstSeen, b.LastSeen = noon.Add(-20*day), noon
	s := load(t, build(t, []Entry{b, a}))
	want := Entry{a.Prefix, []string{"a", "b", "c"}, b.FirstSeen, b.LastSeen, b.Expires, 70}
	if got := slices.Collect(s.All()); len(got) != 1 || !reflect.DeepEqual(got[0], want) {
		t.Errorf("got %+v", got)
	}
	if again := load(t, build(t, []Entry{a, b})); again.Version() != s.Version() {
		t.Error("the order of the entries changes the version")
	}
	b.Expires = time.Time{}
	if m, _ := load(t, build(t, []Entry{a, b})).Match(a.Prefix.Addr()); !m.Expires.IsZero() {
		t.Error("expires although one feed keeps it")
	}
	if empty := load(t, build(t, nil)); empty.Len() != 0 {
		t.Error("an empty set has entries")
	}
}

func TestBuildRefuses(t *testing.T) {
	late, unnamed, long := entry("8.8.8.8/32", 1, "f"), entry("8.8.8.8/32", 1), entry("8.8.8.8/32", 1, strings.Repeat("f", 256))
	late.LastSeen = time.Date(2107, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, e := range map[string]Entry{
		"special-purpose":    entry("10.0.0.0/8", 1, "f"),
		"covers special":     entry("192.0.0.0/8", 1, "f"),
		"short":              entry("44.0.0.0/7", 1, "f"),
		"short IPv6":         entry("2a00::/15", 1, "f"),
		"not global":         entry("fd00::/16", 1, "f"),
		"mapped":             entry("::ffff:8.8.8.8/128", 1, "f"),
		"bits beyond prefix": entry("8.8.8.8/24", 1, "f"),
		"confidence":         entry("8.8.8.8/32", 101, "f"),
		"negative":           entry("8.8.8.8/32", -1, "f"),
		"far future":         late,
		"no feed":            unnamed,
		"empty feed":         entry("8.8.8.8/32", 1, ""),
		"long feed":          long,
		"zero":               {},
	} {
		if _, err := Build(noon, []Entry{e}); fault.Of(err) != fault.BadInput {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	good := build(t, nested)
	for n := range good {
		if _, err := Load(good[:n:n]); fault.Of(err) != fault.BadInput {
			t.Fatalf("the first %d bytes of %d: %v", n, len(good), err)
		}
	}
	for i := range good {
		for bit := range 8 {
			bad := bytes.Clone(good)
			bad[i] ^= 1 << bit
			if _, err := Load(bad); fault.Of(err) != fault.BadInput {
				t.Fatalf("bit %d of byte %d flipped: %v", bit, i, err)
			}
		}
	}
	if _, err := Load(append(bytes.Clone(good), 0)); fault.Of(err) != fault.BadInput {
		t.Errorf("a byte too many: %v", err)
	}
	newer := bytes.Clone(good)
	newer[7] = '2'
	if _, err := Load(newer); err == nil || !strings.Contains(err.Error(), "version") {
		t.Errorf("a newer layout: %v", err)
	}
}

// A file whose checksum is right though its content is not is refused, or answers without a panic or a loop.
func TestLoadForged(t *testing.T) {
	good := build(t, nested)
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		bad := bytes.Clone(good)
		for range 1 + r.IntN(4) {
			bad[headerSize+r.IntN(len(bad)-headerSize)] = byte(r.Uint32() >> r.IntN(32))
		}
		if r.IntN(4) == 0 {
			bad = bad[:headerSize+r.IntN(len(bad)-headerSize)]
		}
		binary.LittleEndian.PutUint64(bad[8:], uint64(len(bad)))
		sum := sha256.Sum256(bad[headerSize:])
		copy(bad[16:], sum[:])
		s, err := Load(bad)
		if err != nil {
			continue
		}
		for _, e := range nested {
			s.Match(e.Prefix.Addr())
		}
		for range s.All() {
		}
	}
}

// random makes entries that nest and touch: few distinct high bits, all lengths.
func random(r *rand.Rand, n int) []Entry {
	feeds := []string{"a", "b", "c", "d"}
	var out []Entry
	for len(out) < n {
		var p netip.Prefix
		if r.IntN(2) == 0 {
			a := netip.AddrFrom4([4]byte{45, byte(r.IntN(3)), byte(r.IntN(4)), byte(r.Uint32())})
			p = netip.PrefixFrom(a, 32-r.IntN(25)*r.IntN(2))
		} else {
			a := netip.AddrFrom16([16]byte{0x2a, 0x0a, 0, byte(r.IntN(2)), 7: byte(r.IntN(3)), 8: byte(r.IntN(2)), 15: byte(r.Uint32())})
			p = netip.PrefixFrom(a, 128-r.IntN(113)*r.IntN(2))
		}
		f := r.IntN(len(feeds))
		out = append(out, Entry{Prefix: p.Masked(), Feeds: feeds[f : f+1+r.IntN(len(feeds)-f)], FirstSeen: noon.Add(-time.Duration(r.IntN(9)) * day),
			LastSeen: noon, Confidence: r.IntN(101)})
	}
	return out
}

// oracle is Match by looking at every entry.
func oracle(entries []Entry, a netip.Addr) (m Match, ok bool) {
	var feeds []string
	for _, e := range entries {
		if e.Prefix.Contains(a) {
			feeds = union(feeds, e.Feeds)
			if !ok || e.Prefix.Bits() > m.Prefix.Bits() {
				m, ok = Match{a, e}, true
			}
		}
	}
	m.Feeds = feeds
	return m, ok
}

func TestMatchOracle(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, n := range []int{1, 2, 10, 63, 64, 65, 300, 3000} {
		entries := random(r, n)
		s := load(t, build(t, entries))
		entries = normal(entries)
		for _, near := range random(r, 400) {
			a := near.Prefix.Addr()
			for range r.IntN(3) {
				a = a.Prev()
			}
			got, ok := s.Match(a)
			want, wantOK := oracle(entries, a)
			if ok != wantOK || !reflect.DeepEqual(got, want) {
				t.Fatalf("%d entries, %s: got %v %v, want %v %v", n, a, got, ok, want, wantOK)
			}
		}
	}
}

// million is a set of a million distinct entries, a tenth of them prefixes and a tenth IPv6.
func million(b *testing.B) (data []byte, hits []netip.Addr) {
	b.Helper()
	r := rand.New(rand.NewPCG(5, 6))
	seen := map[netip.Prefix]bool{}
	var entries []Entry
	for len(entries) < 1_000_000 {
		a := netip.AddrFrom4([4]byte{byte(1 + r.IntN(223)), byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32())})
		if len(entries)%10 == 0 {
			a = netip.AddrFrom16([16]byte{0x2a, byte(r.IntN(16)), byte(r.Uint32()), byte(r.Uint32()), 0, byte(r.IntN(4)), byte(r.Uint32()), 7, 15: byte(r.Uint32())})
		}
		p := netip.PrefixFrom(a, a.BitLen())
		if len(entries)%10 == 1 {
			p = netip.PrefixFrom(a, 20+r.IntN(9)).Masked()
		}
		if Check(p) != "" || seen[p] {
			continue
		}
		seen[p] = true
		hits = append(hits, a)
		entries = append(entries, Entry{Prefix: p, Feeds: []string{"a", "b", "c"}[r.IntN(3):], FirstSeen: noon.Add(-time.Duration(r.IntN(1e6)) * time.Second), LastSeen: noon, Confidence: r.IntN(101)})
	}
	return build(b, entries), hits
}

func BenchmarkLoad(b *testing.B) {
	data, _ := million(b)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		load(b, data)
	}
}

func BenchmarkMatch(b *testing.B) {
	data, hits := million(b)
	s := load(b, data)
	r := rand.New(rand.NewPCG(7, 8))
	r.Shuffle(len(hits), func(i, j int) { hits[i], hits[j] = hits[j], hits[i] })
	var hits6, misses []netip.Addr
	for _, a := range hits {
		if a.Is6() {
			hits6 = append(hits6, a)
		}
	}
	for range len(hits) {
		misses = append(misses, netip.AddrFrom4([4]byte{byte(1 + r.IntN(223)), byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32())}))
	}
	for _, c := range []struct {
		name  string
		addrs []netip.Addr
	}{{"named", hits}, {"named IPv6", hits6}, {"random IPv4", misses}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(16)
			for i := 0; b.Loop(); i++ {
				s.Match(c.addrs[i%len(c.addrs)])
			}
		})
	}
}
