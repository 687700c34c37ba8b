package authlog

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"regexp"
	"testing"

	"github.com/klauspost/compress/gzip"

	"stepsiem/shared/event"
)

// sample makes n lines as an sshd on the internet writes them.
func sample(n int) [][]byte {
	rnd := rand.New(rand.NewPCG(1, 2))
	users := []string{"root", "admin", "ubuntu", "ec2-user", "oracle", "test", "git", "postgres"}
	kinds := []func(user, peer string) string{
		func(user, peer string) string { return "Failed password for " + user + " from " + peer + " ssh2" },
		func(user, peer string) string {
			return "Failed password for invalid user " + user + " from " + peer + " ssh2"
		},
		func(user, peer string) string { return "Invalid user " + user + " from " + peer },
		func(user, peer string) string { return "Accepted password for " + user + " from " + peer + " ssh2" },
		func(user, peer string) string {
			return "Accepted publickey for " + user + " from " + peer + " ssh2: RSA SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"
		},
		func(user, peer string) string {
			return "Connection closed by invalid user " + user + " " + peer + " [preauth]"
		},
	}
	peers := make([]string, 500)
	for i := range peers {
		peers[i] = fmt.Sprintf("%d.%d.%d.%d", 1+rnd.IntN(220), rnd.IntN(256), rnd.IntN(256), rnd.IntN(256))
	}
	lines := make([][]byte, n)
	for i := range lines {
		s := i / 5
		peer := fmt.Sprintf("%s port %d", peers[rnd.IntN(len(peers))], 1024+rnd.IntN(64000))
		lines[i] = fmt.Appendf(nil, "Nov 23 %02d:%02d:%02d ip-172-31-9-%d sshd[%d]: %s", s/3600%24, s/60%60, s%60, rnd.IntN(20), 1000+rnd.IntN(30000),
			kinds[rnd.IntN(len(kinds))](users[rnd.IntN(len(users))], peer))
	}
	return lines
}

const sampleLines = 10_000

// packed is the sample as an object: gzipped lines.
func packed(b *testing.B) (object []byte, inflated int) {
	b.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	text := append(bytes.Join(sample(sampleLines), []byte("\n")), '\n')
	if _, err := z.Write(text); err != nil {
		b.Fatal(err)
	}
	if err := z.Close(); err != nil {
		b.Fatal(err)
	}
	return out.Bytes(), len(text)
}

func BenchmarkParse(b *testing.B) {
	rules, err := ParseFilter(DefaultFilter)
	if err != nil {
		b.Fatal(err)
	}
	lines, d, p := sample(sampleLines), doc(), New(Config{Filter: rules}).Open()
	var c event.Chunk
	size := 0
	for _, line := range lines {
		size += len(line) + 1
	}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		c.Reset()
		d.Buf = c.Buf
		for i, line := range lines {
			d.Reset(int64(i))
			if err := p.Parse(line, d); err != nil {
				b.Fatal(err)
			}
			c.Commit(d, line, 0)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*sampleLines), "ns/line")
}

// BenchmarkObject is BenchmarkParse with inflating and splitting into lines.
func BenchmarkObject(b *testing.B) {
	object, size := packed(b)
	d, p := doc(), New(Config{}).Open()
	var c event.Chunk
	z := new(gzip.Reader)
	text := make([]byte, size)
	b.SetBytes(int64(size))
	for b.Loop() {
		if err := z.Reset(bytes.NewReader(object)); err != nil {
			b.Fatal(err)
		}
		for at := 0; at < size; {
			n, err := z.Read(text[at:])
			if at += n; at < size && err != nil {
				b.Fatal(err)
			}
		}
		c.Reset()
		d.Buf = c.Buf
		for at, rest := 0, text; len(rest) > 0; {
			line, after, _ := bytes.Cut(rest, []byte("\n"))
			d.Reset(int64(at))
			if err := p.Parse(line, d); err != nil {
				b.Fatal(err)
			}
			c.Commit(d, line, 0)
			at, rest = at+len(line)+1, after
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*sampleLines), "ns/line")
}

// BenchmarkRegexp is what BenchmarkObject is measured against: one expression with captures over each line.
func BenchmarkRegexp(b *testing.B) {
	re := regexp.MustCompile(`^(\w{3} +\d+ [\d:]+) (\S+) (\w+)\[(\d+)\]: (?:(Accepted|Failed) (\S+) for (?:invalid user )?|Invalid user |Connection closed by invalid user )(\S*) (?:from )?(\S+) port (\d+)(?: ssh2)?(?:: (.*))?(?: \[preauth\])?$`)
	lines := sample(sampleLines)
	size := 0
	for _, line := range lines {
		size += len(line) + 1
	}
	b.SetBytes(int64(size))
	for b.Loop() {
		for _, line := range lines {
			if re.FindSubmatchIndex(line) == nil {
				b.Fatalf("no match: %s", line)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*sampleLines), "ns/line")
}

// TestAllocations holds Parse to its word, on the sample and on lines with something to escape.
func TestAllocations(t *testing.T) {
	rules, err := ParseFilter(DefaultFilter)
	if err != nil {
		t.Fatal(err)
	}
	lines := append(sample(100), []byte("Nov 23 18:12:01 host sshd[1]: Invalid user \"\x1b\xff from 2a00::1 port 22"),
		[]byte("<38>Nov 23 18:12:01 host CRON[1]: (root) CMD (ls)"), []byte("<38>Nov 23 18:12:01 host sudo:  a : TTY=x ; COMMAND=y"))
	d, p := doc(), New(Config{Filter: rules}).Open()
	d.Origin = &event.Origin{Owner: "123456789012", Time: 1}
	d.Buf = make([]byte, 0, 1<<20)
	if n := testing.AllocsPerRun(10, func() {
		d.Buf = d.Buf[:0]
		for _, line := range lines {
			d.Reset(0)
			if err := p.Parse(line, d); err != nil {
				d.Drop()
			}
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
