package address

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// oracle is Parse by the standard library alone.
func oracle(s string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return netip.Addr{}, false
	}
	return a.Unmap(), true
}

var odd = []string{"", "0", "1.2.3.4", "0.0.0.0", "255.255.255.255", "256.1.1.1", "1.2.3", "1.2.3.4.5", "1.2.3.", ".1.2.3", "1..2.3", "01.2.3.4",
	"1.2.3.04", "1.2.3.00", "1.2.3.4 ", " 1.2.3.4", "1.2.3.4\n", "1.2.3.4/8", "1.2.3.-4", "1.2.3.+4", "1.2.3.4444", "1111.2.3.4", "1.2.3.999",
	"1.2.3.4:80", "1,2,3,4", "a.b.c.d", "1.2.3.a", "::", "::1", "2001:db8::1", "fe80::1%eth0", "::ffff:1.2.3.4", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8:9",
	":::", "12345::", "2001:DB8::A", "100.100.100.100", "123.123.123.1234", "1.2.3.4\x00", "٣.1.1.1", strings.Repeat("1", 99)}

func TestParse(t *testing.T) {
	for _, s := range odd {
		got, ok := Parse([]byte(s))
		if want, wantOK := oracle(s); got != want || ok != wantOK {
			t.Errorf("%q: %v %v, want %v %v", s, got, ok, want, wantOK)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range odd {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := Parse([]byte(s))
		if want, wantOK := oracle(s); got != want || ok != wantOK {
			t.Errorf("%q: %v %v, want %v %v", s, got, ok, want, wantOK)
		}
	})
}

func TestParseRandom(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	const letters = "0123456789..::af"
	for range 200_000 {
		b := make([]byte, rnd.IntN(17))
		for i := range b {
			b[i] = letters[rnd.IntN(len(letters))]
		}
		got, ok := Parse(b)
		if want, wantOK := oracle(string(b)); got != want || ok != wantOK {
			t.Fatalf("%q: %v %v, want %v %v", b, got, ok, want, wantOK)
		}
		a := netip.AddrFrom4([4]byte{byte(rnd.Uint32()), byte(rnd.Uint32()), byte(rnd.Uint32()), byte(rnd.Uint32())})
		if got, ok := Parse([]byte(a.String())); !ok || got != a {
			t.Fatalf("%v: %v %v", a, got, ok)
		}
	}
}

func TestPublic(t *testing.T) {
	for s, want := range map[string]bool{
		"8.8.8.8": true, "9.255.255.255": true, "11.0.0.0": true, "100.63.255.255": true, "100.128.0.0": true, "169.253.1.1": true,
		"172.15.255.255": true, "172.32.0.0": true, "192.0.1.1": true, "192.167.1.1": true, "198.17.1.1": true, "198.20.0.1": true,
		"203.0.112.1": true, "203.0.114.1": true, "223.255.255.255": true, "2a00:1450::1": true, "2600::": true, "::ffff:8.8.8.8": true,
		"10.1.1.1": false, "100.64.0.1": false, "100.127.255.255": false, "127.0.0.1": false, "169.254.169.254": false, "172.16.0.1": false,
		"172.31.255.255": false, "192.168.0.1": false, "192.0.0.8": false, "192.0.2.1": false, "192.88.99.1": false, "198.18.0.1": false,
		"198.19.255.255": false, "198.51.100.7": false, "203.0.113.7": false, "224.0.0.1": false, "239.1.1.1": false, "240.0.0.1": false,
		"255.255.255.255": false, "0.0.0.0": false, "::1": false, "::": false, "fc00::1": false, "fd12::1": false, "fe80::1": false, "ff02::1": false,
		"2001:db8::1": false, "2002::1": false, "64:ff9b::808:808": false, "::ffff:10.0.0.1": false, "3fff::1": false,
	} {
		if got := Public(netip.MustParseAddr(s)); got != want {
			t.Errorf("%s: %v", s, got)
		}
	}
	if Public(netip.Addr{}) {
		t.Error("the zero address is public")
	}
}

// TestPublicOracle compares with the plain list of prefixes, near its edges above all.
func TestPublicOracle(t *testing.T) {
	rnd := rand.New(rand.NewPCG(2, 2))
	check := func(a netip.Addr) {
		want := !slices.ContainsFunc(special, func(p netip.Prefix) bool { return p.Contains(a) })
		if Public(a) != want {
			t.Errorf("%v: %v", a, !want)
		}
	}
	for _, p := range special {
		check(p.Addr())
		if before := p.Addr().Prev(); before.IsValid() {
			check(before)
		}
	}
	for range 100_000 {
		check(netip.AddrFrom4([4]byte{byte(rnd.Uint32()), byte(rnd.Uint32()), byte(rnd.Uint32()), byte(rnd.Uint32())}))
	}
}

func TestTable(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 3))
	var table Table
	for range 2 {
		want := map[netip.Addr]int32{}
		for range 20_000 {
			a := netip.AddrFrom4([4]byte{0, 0, byte(rnd.Uint32()), byte(rnd.Uint32())})
			if rnd.IntN(4) == 0 {
				a = netip.AddrFrom16([16]byte{0x20, 1, 15: byte(rnd.Uint32())})
			}
			if _, ok := want[a]; !ok {
				want[a] = int32(len(want))
			}
			if got := table.Number(a); got != want[a] {
				t.Fatalf("%v: %d, want %d", a, got, want[a])
			}
		}
		if len(table.List()) != len(want) {
			t.Fatalf("%d addresses, want %d", len(table.List()), len(want))
		}
		for n, a := range table.List() {
			if want[a] != int32(n) {
				t.Fatalf("%v is at %d, want %d", a, n, want[a])
			}
		}
		table.Reset()
	}
}

func BenchmarkParse(b *testing.B) {
	rnd := rand.New(rand.NewPCG(4, 4))
	list := make([][]byte, 1<<17)
	var n int
	for i := range list {
		list[i] = []byte(netip.AddrFrom4([4]byte{byte(rnd.Uint32()), byte(rnd.Uint32()), byte(rnd.Uint32()), byte(rnd.Uint32())}).String())
		n += len(list[i])
	}
	b.SetBytes(int64(n))
	for b.Loop() {
		for _, s := range list {
			if _, ok := Parse(s); !ok {
				b.Fatal(string(s))
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(list)), "ns/address")
}

func BenchmarkTable(b *testing.B) {
	var t Table
	b.SetBytes(4 * 100_000)
	for b.Loop() {
		t.Reset()
		for i := range uint32(100_000) {
			h := i % 70_000 * 2654435761
			t.Number(netip.AddrFrom4([4]byte{byte(h >> 24), byte(h >> 16), byte(h >> 8), byte(h)}))
		}
	}
}
