package indicator

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"stepsiem/shared/fault"
)

func TestParseList(t *testing.T) {
	for _, c := range []struct {
		name, list, want string
		problems         map[string]int
	}{
		{"empty", "", "", nil},
		{"comments", "# one\n; two\n\n  \n#1.2.3.4\n", "", nil},
		{"addresses and prefixes", "45.1.2.3\n2a0a::1\n45.9.0.0/16\n2a0a:1::/32\n", "45.1.2.3/32=50 45.9.0.0/16=50 2a0a::1/128=50 2a0a:1::/32=50", nil},
		{"BOM, CRLF, no last line end", "\uFEFF45.1.2.3\r\n45.1.2.4", "45.1.2.3/32=50 45.1.2.4/32=50", nil},
		{"IPsum", "# IP\tnumber\n45.1.2.3\t10\n45.1.2.4\t2\n45.1.2.5\t0\n45.1.2.6\t4000000000\n", "45.1.2.3/32=100 45.1.2.4/32=20 45.1.2.5/32=0 45.1.2.6/32=100", nil},
		{"Spamhaus DROP", "; Spamhaus DROP List\n1.10.16.0/20 ; SBL256894\n", "1.10.16.0/20=50", nil},
		{"comment behind", "45.1.2.3 # bad\n45.1.2.4\t7 # worse", "45.1.2.3/32=50 45.1.2.4/32=70", nil},
		{"merged", "45.1.2.3 2\n45.1.2.3 9\n45.1.2.3/32 3\n45.1.2.77/24\n45.1.2.0/24\n", "45.1.2.0/24=50 45.1.2.3/32=90", nil},
		{"mapped", "::ffff:45.1.2.3\n::ffff:45.9.0.0/112\n", "45.1.2.3/32=50 45.9.0.0/16=50", nil},
		{"special-purpose", "10.0.0.1\n127.0.0.0/8\n192.168.1.0/24\n100.64.0.1\nfe80::1\n::1\n2001:db8::/32\nfc00::/17\n224.0.0.5\n45.1.2.3\n", "45.1.2.3/32=50",
			map[string]int{specialPurpose: 9}},
		{"covering special-purpose", "192.0.0.0/8\n172.0.0.0/10\n2001::/16\n", "", map[string]int{specialPurpose: 3}},
		{"short", "0.0.0.0/0\n44.0.0.0/7\n::/0\n2a00::/15\n44.0.0.0/8\n2a00::/16\n", "44.0.0.0/8=50 2a00::/16=50", map[string]int{tooShort: 4}},
		{"an error page", "<html>\n<body>45.1.2.3</body>\n", "", map[string]int{notAddress: 2}},
		{"not addresses", "45.1.2\n045.1.2.3\n45.1.2.3/33\n45.1.2.3:80\nfe80::1%eth0\n45.1.2.3-45.1.2.9\n\xff\n\x00\nevil.example\n", "", map[string]int{notAddress: 9}},
		{"text behind", "45.1.2.3 bad\n45.1.2.4 -1\n45.1.2.5 1 2\n", "", map[string]int{extraText: 3}},
		{"long line", "45.1.2.3\n" + strings.Repeat("x", 3*maxLine) + "\n45.1.2.4\n" + strings.Repeat("45.1.2.5 ", maxLine), "45.1.2.3/32=50 45.1.2.4/32=50", map[string]int{longLine: 2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			entries, problems, err := ParseList(iotest.HalfReader(strings.NewReader(c.list)), "feed", noon)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, e := range entries {
				got = append(got, fmt.Sprintf("%s=%d", e.Prefix, e.Confidence))
				if !reflect.DeepEqual(e.Feeds, []string{"feed"}) || e.FirstSeen != noon || e.LastSeen != noon {
					t.Errorf("%+v", e)
				}
			}
			if s := strings.Join(got, " "); s != c.want {
				t.Errorf("got  %s\nwant %s", s, c.want)
			}
			for reason, n := range c.problems {
				if problems.Counts[reason] != n {
					t.Errorf("%d of %q, want %d", problems.Counts[reason], reason, n)
				}
			}
			if c.problems == nil && problems.Total() != 0 {
				t.Error(problems.String())
			}
			if _, err := Build(noon, entries); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestParseListProblems(t *testing.T) {
	_, p, err := ParseList(strings.NewReader("45.1.2.3\nx\n10.0.0.1\n"+strings.Repeat("y\n", 200)), "feed", noon)
	if err != nil || p.Total() != 202 || len(p.First) != maxProblems || p.First[0] != (Problem{2, notAddress}) || p.First[1] != (Problem{3, specialPurpose}) {
		t.Errorf("%d problems, %d kept: %s, %v", p.Total(), len(p.First), p.String(), err)
	}
	if want := "202 lines left out, the first is line 2: " + notAddress; p.String() != want {
		t.Errorf("%s", p.String())
	}
	gone := errors.New("gone")
	if _, _, err := ParseList(io.MultiReader(strings.NewReader("45.1.2.3\n"), iotest.ErrReader(gone)), "feed", noon); !errors.Is(err, gone) {
		t.Errorf("a broken reader: %v", err)
	}
}

func TestOpen(t *testing.T) {
	s, p, err := Open("feeds/ipsum.txt", []byte("45.1.2.3\t3\nx\n"))
	if err != nil || p.Total() != 1 {
		t.Fatal(p, err)
	}
	m, ok := s.Match(netip.MustParseAddr("45.1.2.3"))
	if !ok || m.Confidence != 30 || !reflect.DeepEqual(m.Feeds, []string{"ipsum"}) || !m.FirstSeen.IsZero() || len(s.Version()) != 12 {
		t.Errorf("%+v in version %s", m, s.Version())
	}
	good := build(t, nested)
	if s, _, err = Open("any.set", good); err != nil || s.Len() != len(nested) {
		t.Errorf("a compiled set: %v", err)
	}
	for name, data := range map[string][]byte{"cut": good[:99], "empty": nil, "page": []byte("<html>"), "comments": []byte("# none\n")} {
		if _, _, err := Open(name, data); fault.Of(err) != fault.BadInput || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever opens, list or set, finds its own entries, and compiles to itself again.
func FuzzOpen(f *testing.F) {
	f.Add([]byte("# x\n45.1.2.3\t3\r\n2a0a::/29 ; y\n45.0.0.0/8\n::ffff:9.9.9.0/120\n"))
	f.Add(build(f, nested))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, _, err := Open("fuzz", data)
		if err != nil {
			return
		}
		for e := range s.All() {
			if m, ok := s.Match(e.Prefix.Addr()); !ok || m.Prefix.Addr() != e.Prefix.Addr() || m.Prefix.Bits() < e.Prefix.Bits() {
				t.Errorf("%s matches %v", e.Prefix, m)
			}
		}
		again, err := Build(s.Created(), slices.Collect(s.All()))
		if err != nil {
			t.Fatal(err)
		}
		if load(t, again).Version() != s.Version() {
			t.Error("compiled again it is another set")
		}
	})
}

// ipsum is a real feed, 120,430 addresses.
const ipsum = "../../../shared/data/feeds/ipsum.txt"

func TestIPsum(t *testing.T) {
	data, err := os.ReadFile(ipsum)
	if err != nil {
		t.Skip(err)
	}
	s, p, err := Open(ipsum, data)
	if err != nil || s.Len()+p.Total() != 120430 || p.Counts[specialPurpose] != p.Total() || p.Total() > 100 {
		t.Fatalf("%d entries, %s, %v", s.Len(), p.String(), err)
	}
	if m, ok := s.Match(netip.MustParseAddr("77.90.185.20")); !ok || m.Confidence != 100 {
		t.Errorf("%+v %v", m, ok)
	}
}

func BenchmarkOpenList(b *testing.B) {
	data, err := os.ReadFile(ipsum)
	if err != nil {
		b.Skip(err)
	}
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := Open(ipsum, data); err != nil {
			b.Fatal(err)
		}
	}
}
