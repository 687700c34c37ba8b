package format_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/gzip"
	"github.com/parquet-go/parquet-go"
)

func packed(parts ...string) []byte {
	var b bytes.Buffer
	for _, p := range parts {
		z := gzip.NewWriter(&b)
		io.WriteString(z, p)
		z.Close()
	}
	return b.Bytes()
}

func readFile(t *testing.T, name string) *result {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	return read(t, options(), name, f)
}

func TestLayers(t *testing.T) {
	body := text(auth, auth, auth)
	want := read(t, options(), "x", strings.NewReader(body))
	for name, b := range map[string][]byte{
		"gzip":         packed(body),
		"members":      packed(body[:100], body[100:]),
		"empty member": packed(body, ""),
		"twice":        packed(string(packed(body))),
		"thrice":       packed(string(packed(string(packed(body))))),
	} {
		got := read(t, options(), "x", bytes.NewReader(b))
		if got.summary() != want.summary() || !slices.Equal(got.docs, want.docs) || !slices.Equal(got.ids, want.ids) || got.Bytes != int64(len(body)) {
			t.Errorf("%s: %s, %d bytes, %s", name, got.summary(), got.Bytes, got.reasons())
		}
	}
	if got := read(t, options(), "x", bytes.NewReader(packed(""))); got.reasons() != "empty object" {
		t.Error("gzip of nothing:", got.reasons())
	}
	nested := body
	for range 5 {
		nested = string(packed(nested))
	}
	if got := read(t, options(), "x", strings.NewReader(nested)); got.Documents != 0 || got.Quarantined != 1 {
		t.Error("five layers:", got.summary())
	}
}

// lines makes n lines of which each can be told from the others, and hard enough to compress that a cut falls anywhere.
func lines(n int) string {
	rnd := rand.New(rand.NewPCG(1, 1))
	var b strings.Builder
	for range n {
		line := []byte(auth)
		for i := strings.Index(auth, "root"); line[i] != ' '; i++ {
			line[i] = 'a' + byte(rnd.IntN(26))
		}
		b.Write(append(line, '\n'))
	}
	return b.String()
}

// TestTruncated: of a cut or broken gzip object what was readable is kept, and one reject says what happened.
func TestTruncated(t *testing.T) {
	for name, body := range map[string]string{"lines": lines(300), "json": records(300)} {
		whole := read(t, options(), "x", strings.NewReader(body))
		b := packed(body)
		kept := int64(0)
		for cut := 1; cut < len(b); cut += 1 + len(b)/150 {
			got := read(t, options(), "x", bytes.NewReader(b[:cut]))
			if got.Quarantined != 1 || got.Failed == "" || got.Documents < kept || !slices.Equal(got.docs, whole.docs[:got.Documents]) {
				t.Fatalf("%s cut at %d: %s, %d kept before, failed %q: %s", name, cut, got.summary(), kept, got.Failed, got.reasons())
			}
			kept = got.Documents
		}
		if kept < 200 {
			t.Errorf("%s: %d of 300 records kept at most", name, kept)
		}
	}
}

func TestCorrupt(t *testing.T) {
	rnd := rand.New(rand.NewPCG(2, 2))
	b := packed(lines(300))
	for range 150 {
		flipped := bytes.Clone(b)
		at := 10 + rnd.IntN(len(b)-10)
		flipped[at] ^= 1 << rnd.IntN(8)
		got := read(t, options(), "x", bytes.NewReader(flipped))
		if got.Failed == "" || got.Quarantined == 0 {
			t.Fatalf("a bit flipped at %d of %d goes unnoticed: %s", at, len(b), got.summary())
		}
	}
	tail := append(packed(text(auth)), "garbage behind the stream"...)
	if got := read(t, options(), "x", bytes.NewReader(tail)); got.summary() != "authlog 2/1/1/0" || !strings.Contains(got.reasons(), "inflate: gzip: invalid header after 86 bytes") {
		t.Error("garbage behind:", got.summary(), got.reasons())
	}
	if got := read(t, options(), "x", bytes.NewReader([]byte{0x1f, 0x8b})); got.summary() != "- 1/0/1/0" || !strings.Contains(got.reasons(), "inflate") {
		t.Error("magic alone:", got.summary(), got.reasons())
	}
}

func TestBomb(t *testing.T) {
	opt := options()
	opt.MaxInflated = 1 << 20
	for name, bomb := range map[string]string{
		"lines": strings.Repeat(text(auth), 100_000),
		"zeros": text(auth) + strings.Repeat("\x00", 64<<20),
		"json":  text(trail(1)) + strings.Repeat("[", 64<<20),
		"deep":  text(trail(1)) + strings.Repeat(`{"a":`, 8<<20),
	} {
		got := read(t, opt, "x", bytes.NewReader(packed(bomb)))
		if got.Documents == 0 || got.Quarantined != 1 || got.Bytes > opt.MaxInflated || !strings.Contains(got.Failed, "inflated size over the limit of 1048576 bytes") {
			t.Errorf("%s: %s, %d bytes, failed %q: %s", name, got.summary(), got.Bytes, got.Failed, got.reasons())
		}
	}
}

type row struct {
	Version int32  `parquet:"version"`
	SrcAddr string `parquet:"srcaddr"`
	DstAddr string `parquet:"dstaddr"`
	Action  string `parquet:"action"`
}

func TestTable(t *testing.T) {
	var b bytes.Buffer
	if err := parquet.Write(&b, slices.Repeat([]row{{2, "1.2.3.4", "10.0.0.1", "REJECT"}, {2, "10.0.0.1", "1.2.3.4", "WHAT"}}, 500)); err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string]string{"parquet": b.String(), "gzipped": string(packed(b.String()))} {
		got := read(t, options(), "x.parquet", iotest.HalfReader(strings.NewReader(body)))
		if got.summary() != "vpcflowlog 1000/500/500/0" || got.offsets[1] != 2 || got.rejects[1].Offset != 3 || got.Bytes != int64(b.Len()) {
			t.Errorf("%s: %s at %v, %d bytes, %.200s", name, got.summary(), got.offsets[:2], got.Bytes, got.reasons())
		}
	}
	for cut := 4; cut < b.Len(); cut += 1 + b.Len()/50 {
		got := read(t, options(), "x.parquet", bytes.NewReader(b.Bytes()[:cut]))
		if got.Documents != 0 || got.Quarantined != 1 || !strings.HasPrefix(got.Failed, "open table") {
			t.Errorf("cut at %d: %s %s", cut, got.summary(), got.reasons())
		}
	}
	opt := options()
	opt.MaxInflated = 1000
	if got := read(t, opt, "x.parquet", &b); got.summary() != "- 1/0/1/0" || !strings.Contains(got.reasons(), "over the limit") {
		t.Error(got.summary(), got.reasons())
	}
}
