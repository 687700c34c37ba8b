package vpcflowlog

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"

	"stepsiem/shared/event"
)

var (
	v2 = strings.Join(names[:defaultFields], " ")
	v5 = strings.Join(names[:trafficPath+1], " ")
)

// sample makes n lines as a busy VPC writes them: 200 interfaces, many public peers, random ports and sizes.
func sample(n int, order string) [][]byte {
	rnd := rand.New(rand.NewPCG(1, 2))
	enis := make([]string, 200)
	for i := range enis {
		enis[i] = fmt.Sprintf("%017x", rnd.Uint64()&(1<<60-1))
	}
	public := func() string {
		first := []int{3, 13, 18, 34, 52, 54, 104, 151, 185, 8}[rnd.IntN(10)]
		return fmt.Sprintf("%d.%d.%d.%d", first, rnd.IntN(256), rnd.IntN(256), rnd.IntN(256))
	}
	services := []int{443, 443, 443, 80, 22, 53, 3306, 5432, 6379, 123}
	start := int64(1700000000)
	lines := make([][]byte, n)
	for i := range lines {
		e := rnd.IntN(len(enis))
		src, dst := public(), fmt.Sprintf("10.0.%d.%d", e/16, 4+e)
		if rnd.IntN(4) == 0 {
			src = fmt.Sprintf("172.31.%d.%d", rnd.IntN(16), rnd.IntN(250))
		}
		sport, dport := 1024+rnd.IntN(64000), services[rnd.IntN(len(services))]
		way := "ingress"
		if rnd.IntN(2) == 0 {
			src, dst, sport, dport, way = dst, src, dport, sport, "egress"
		}
		proto, act := 6, "ACCEPT"
		if dport == 53 || dport == 123 {
			proto = 17
		}
		if rnd.IntN(8) == 0 {
			act = "REJECT"
		}
		if i%1000 == 0 {
			start++
		}
		pk := 1 + rnd.IntN(60)
		at := start - int64(rnd.IntN(60))
		value := map[string]any{"version": 2, "account-id": 123456789012, "interface-id": "eni-" + enis[e], "srcaddr": src, "dstaddr": dst,
			"srcport": sport, "dstport": dport, "protocol": proto, "packets": pk, "bytes": pk * (40 + rnd.IntN(1400)), "start": at,
			"end": at + int64(rnd.IntN(60)), "action": act, "log-status": "OK", "vpc-id": "vpc-0123456789abcdef0",
			"subnet-id": "subnet-" + enis[e/16], "instance-id": "i-" + enis[e], "tcp-flags": []int{2, 3, 18, 19}[rnd.IntN(4)], "type": "IPv4",
			"pkt-srcaddr": src, "pkt-dstaddr": dst, "region": "eu-central-1", "az-id": "euc1-az2", "sublocation-type": "-", "sublocation-id": "-",
			"pkt-src-aws-service": "-", "pkt-dst-aws-service": []string{"-", "AMAZON", "EC2", "S3"}[rnd.IntN(4)], "flow-direction": way,
			"traffic-path": []string{"-", "8"}[rnd.IntN(2)]}
		if order == v5 {
			value["version"] = 5
		}
		var b []byte
		for f := range strings.FieldsSeq(order) {
			b = fmt.Appendf(b, "%v ", value[f])
		}
		lines[i] = b[:len(b)-1]
	}
	return lines
}

func size(lines [][]byte) (n int64) {
	for _, l := range lines {
		n += int64(len(l)) + 1
	}
	return n
}

func doc() *event.Doc {
	d := new(event.Doc)
	d.Open(&event.Source{Bucket: "landing", Path: "s3://landing/AWSLogs/123456789012/vpcflowlogs/eu-central-1/2023/11/14/1_vpcflowlogs_eu-central-1_fl-1_20231114T2215Z_00000000.log.gz",
		Base: "1_vpcflowlogs_eu-central-1_fl-1_20231114T2215Z_00000000.log.gz", Time: time.Unix(1700001234, 0)}, "vpcflowlog", "vpcflowlog-20231114T221320Z-0123456789abcdef", time.Unix(1700000000, 0))
	return d
}

func benchmarkParse(b *testing.B, order string) {
	lines := sample(100_000, order)
	d, c := doc(), new(event.Chunk)
	parser := New(Config{}).Open()
	if err := parser.Parse([]byte(order), d); err != event.ErrSkip {
		b.Fatal(err)
	}
	b.SetBytes(size(lines))
	b.ReportAllocs()
	var out int
	for b.Loop() {
		c.Reset()
		d.Buf = c.Buf
		for i, line := range lines {
			if len(d.Buf) > 1<<20 { // as the reader hands over blocks
				out += len(d.Buf)
				c.Next()
				d.Buf = c.Buf
			}
			d.Reset(int64(i) * 110)
			if err := parser.Parse(line, d); err != nil {
				b.Fatal(err)
			}
			c.Commit(d, line, 0)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(lines)), "ns/record")
	b.ReportMetric(float64(out)/float64(b.N*len(lines)), "docB/record")
}

func benchmarkInflate(b *testing.B, order string) {
	lines := sample(100_000, order)
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write(bytes.Join(lines, []byte("\n")))
	_ = w.Close()
	b.SetBytes(size(lines))
	buf := make([]byte, 64<<10)
	for b.Loop() {
		r, err := gzip.NewReader(bytes.NewReader(packed.Bytes()))
		if err != nil {
			b.Fatal(err)
		}
		if _, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{r}, buf); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(lines)), "ns/record")
}

func BenchmarkParse(b *testing.B) {
	b.Run("v2", func(b *testing.B) { benchmarkParse(b, v2) })
	b.Run("v5", func(b *testing.B) { benchmarkParse(b, v5) })
}

func BenchmarkInflate(b *testing.B) {
	b.Run("v2", func(b *testing.B) { benchmarkInflate(b, v2) })
	b.Run("v5", func(b *testing.B) { benchmarkInflate(b, v5) })
}
