package cloudtrail

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// real returns the records of ../shared/data/cloudtrail beside the checkout.
func real(tb testing.TB) (list [][]byte) {
	tb.Helper()
	files, _ := filepath.Glob("../../../shared/data/cloudtrail/*.json.gz")
	if len(files) == 0 {
		tb.Skip("no ../shared/data/cloudtrail beside the checkout")
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			tb.Fatal(err)
		}
		z, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			tb.Fatal(err)
		}
		if data, err = io.ReadAll(z); err != nil {
			tb.Fatal(err)
		}
		var file struct{ Records []json.RawMessage }
		if err := json.Unmarshal(data, &file); err != nil {
			tb.Fatal(err)
		}
		for _, r := range file.Records {
			list = append(list, r)
		}
	}
	return list
}

// invented returns the records of the goldens that become documents.
func invented(tb testing.TB) (list [][]byte) {
	goldens(tb, func(_, _ string, records []string, _ string) {
		for _, r := range records {
			if _, err := parse(r); err == nil {
				list = append(list, []byte(r))
			}
		}
	})
	return list
}

func benchmark(b *testing.B, run func(b *testing.B, records [][]byte)) {
	for name, records := range map[string]func(testing.TB) [][]byte{"invented": invented, "real": real} {
		b.Run(name, func(b *testing.B) {
			list, size := records(b), 0
			for _, r := range list {
				size += len(r)
			}
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				run(b, list)
			}
			b.ReportMetric(float64(len(list)*b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

func BenchmarkParse(b *testing.B) {
	p, d := New(Config{}).Open(), newDoc()
	benchmark(b, func(b *testing.B, records [][]byte) {
		d.Buf = d.Buf[:0]
		for _, r := range records {
			d.Reset(int64(len(d.Buf)))
			if err := p.Parse(r, d); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkEncodingJSON decodes each record to any and encodes it again: what BenchmarkParse is measured against.
func BenchmarkEncodingJSON(b *testing.B) {
	benchmark(b, func(b *testing.B, records [][]byte) {
		for _, r := range records {
			var v any
			_ = json.Unmarshal(r, &v) // 1e400 is no float64
			if _, err := json.Marshal(v); err != nil {
				b.Fatal(err)
			}
		}
	})
}
