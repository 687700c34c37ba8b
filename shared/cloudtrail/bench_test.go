package cloudtrail

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"stepsiem/shared/event"
)


// realRecords are the records of ../shared/data/cloudtrail beside the checkout.
func realRecords(tb testing.TB) [][]byte {
	tb.Helper()
	files, _ := filepath.Glob("../../../shared/data/cloudtrail/*.json.gz")
	if len(files) == 0 {
		tb.Skip("no ../shared/data/cloudtrail beside the checkout")
	}
	var list [][]byte
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

func newDoc() *event.Doc {
	d := &event.Doc{}
	d.Open(&event.Source{Bucket: "landing", Key: "k/a.json.gz", Path: "s3://landing/k/a.json.gz", Base: "a.json.gz"}, "cloudtrail", "b1", time.Unix(1700000000, 0))
	return d
}

func BenchmarkParse(b *testing.B) {
	list := realRecords(b)
	p := New(Config{}).Open()
	d := newDoc()
	n := 0
	for _, r := range list {
		n += len(r)
	}
	b.SetBytes(int64(n))
	b.ReportAllocs()
	for b.Loop() {
		d.Buf = d.Buf[:0]
		for _, r := range list {
			d.Reset(int64(len(d.Buf)))
			if err := p.Parse(r, d); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(len(list)*b.N)/b.Elapsed().Seconds(), "records/s")
}

func BenchmarkEncodingJSON(b *testing.B) {
	list := realRecords(b)
	n := 0
	for _, r := range list {
		n += len(r)
	}
	b.SetBytes(int64(n))
	b.ReportAllocs()
	for b.Loop() {
		for _, r := range list {
			var v any
			if err := json.Unmarshal(r, &v); err != nil {
				b.Fatal(err)
			}
			if _, err := json.Marshal(v); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(len(list)*b.N)/b.Elapsed().Seconds(), "records/s")
}
