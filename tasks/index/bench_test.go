package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"stepsiem/shared/batch"
	"stepsiem/shared/blob"
	"stepsiem/shared/event"
	"stepsiem/shared/format"
	"stepsiem/shared/indicator"
	"stepsiem/shared/join"
	"stepsiem/shared/search"
	"stepsiem/shared/vpcflowlog"
)

const benchDocuments = 50_000

// chunkSink keeps the one chunk that a benchmark needs.
type chunkSink struct {
	w         *event.Writer
	facts     *join.Facts
	bodies    []search.Body
	addresses []netip.Addr
}

func (s *chunkSink) Reject(r *format.Reject) error { return fmt.Errorf("%s", r.Reason) }

func (s *chunkSink) Block(typ string, c *event.Chunk) error {
	s.addresses = c.Addresses.List()
	for len(s.facts.Geo) < len(s.addresses) {
		s.facts.Geo = append(s.facts.Geo, []byte(`,"geo":{"city_name":"Reykjavik","country_iso_code":"IS","location":{"lat":64.1,"lon":-21.9}}`))
	}
	for i := range c.Records {
		if b := len(s.bodies); b == 0 || len(s.bodies[b-1].Buf) >= BodyBytes {
			s.bodies = append(s.bodies, search.Body{})
		}
		b := &s.bodies[len(s.bodies)-1]
		b.Buf = s.facts.AppendItem(b.Buf, typ, c, &c.Records[i])
		b.Add()
	}
	return s.w.Write(typ, c)
}

// BenchmarkIndex compares the Index stage with sending the same bulk bodies ready-made, in turn, on the OpenSearch that
// SIEM_BENCH_SEARCH names (siem status tells the local one's). Both drop the index first.
func BenchmarkIndex(b *testing.B) {
	endpoint := os.Getenv("SIEM_BENCH_SEARCH")
	if endpoint == "" {
		b.Skip("set SIEM_BENCH_SEARCH to an OpenSearch that may be filled")
	}
	client, err := search.New(search.Config{Endpoint: endpoint})
	if err != nil {
		b.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	var lines strings.Builder
	for range benchDocuments {
		fmt.Fprintf(&lines, "2 123456789012 eni-%017x 10.0.%d.%d 52.%d.%d.7 %d 443 6 %d %d 1700000000 1700000060 ACCEPT OK\n", rnd.IntN(200), rnd.IntN(256), rnd.IntN(256), rnd.IntN(40), rnd.IntN(256), 1024+rnd.IntN(60000), rnd.IntN(1000)+1, rnd.IntN(1e6))
	}
	var chunk, addresses, geo, threat, group bytes.Buffer
	sink := &chunkSink{w: event.NewWriter(&chunk), facts: &join.Facts{}}
	r := format.NewReader(format.Options{Formats: []format.Format{vpcflowlog.New(vpcflowlog.Config{})}, Batch: "bench", Latest: time.Now()}, sink)
	src := &event.Source{Bucket: "landing", Key: "bench.log", Path: "s3://landing/bench.log", Base: "bench.log"}
	if t, err := r.Read(context.Background(), src, 0, strings.NewReader(lines.String())); err != nil || t.Documents != benchDocuments {
		b.Fatal(t, err)
	}
	if err := sink.w.Close(); err != nil {
		b.Fatal(err)
	}
	in := Input{Chunk: batch.Chunk{Batch: "bench", Run: "run", Chunk: "0001-0001", Documents: benchDocuments}, Entered: time.Now()}
	in.Geo.Key, in.Threat.Key = batch.GeoKey("run", "0001-0001"), batch.ThreatKey("run", "0001-0001")
	must := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	must(join.WriteAddresses(&addresses, sink.addresses))
	must(join.WriteGeo(&geo, len(sink.facts.Geo), func(dst []byte, i int) []byte { return append(dst, sink.facts.Geo[i]...) }))
	must(join.WriteThreat(&threat, nil))
	group.WriteString(`[{"bucket":"landing","key":"bench.log"}]`)
	store := &blob.Memory{}
	for key, data := range map[string][]byte{batch.ChunkKey("run", "0001-0001"): chunk.Bytes(), batch.AddressesKey("run", "0001-0001"): addresses.Bytes(),
		in.Geo.Key: geo.Bytes(), in.Threat.Key: threat.Bytes(), batch.GroupKey("run", "0001"): group.Bytes()} {
		if _, err := store.Put(context.Background(), "work", key, data, nil); err != nil {
			b.Fatal(err)
		}
	}
	x := &Indexer{Config: Config{WorkBucket: "work", QuarantineBucket: "q", DataBucket: "data"}, Store: store, Search: client,
		Sets: indicator.NewStore(blob.Bucket{Store: store, Name: "data"}, 0), Now: time.Now, Retry: search.DefaultRetry}
	var stage, ready time.Duration
	j := &job{x: x, in: in}
	for range 3 { // the server's JIT compiler
		timed(b, client, func() error { return j.ready(context.Background(), sink.bodies) })
	}
	for b.Loop() {
		ready += timed(b, client, func() error { return j.ready(context.Background(), sink.bodies) })
		stage += timed(b, client, func() error { return x.handle(context.Background(), in) })
		b.Logf("ready %v, stage %v", ready, stage)
	}
	b.ReportMetric(float64(benchDocuments*b.N)/stage.Seconds(), "stage-docs/s")
	b.ReportMetric(float64(benchDocuments*b.N)/ready.Seconds(), "ready-docs/s")
	b.ReportMetric(ready.Seconds()/stage.Seconds(), "ratio")
}

func timed(b *testing.B, client *search.Client, f func() error) time.Duration {
	b.Helper()
	if err := client.Do(context.Background(), "DELETE", "/cwl-vpcflowlog-2023.11.14?ignore_unavailable=true", nil, nil); err != nil {
		b.Fatal(err)
	}
	start := time.Now()
	if err := f(); err != nil {
		b.Fatal(err)
	}
	return time.Since(start)
}

// ready sends bodies that are complete, with as many senders as the stage has.
func (j *job) ready(ctx context.Context, bodies []search.Body) error {
	next := make(chan *search.Body)
	errs := make(chan error, Senders)
	for range Senders {
		go func() {
			var err error
			for b := range next {
				if err == nil {
					err = j.x.Search.Bulk(ctx, b, j.x.Retry, func(search.Outcome) error { return nil })
				}
			}
			errs <- err
		}()
	}
	for i := range bodies {
		next <- &bodies[i]
	}
	close(next)
	for range Senders {
		if err := <-errs; err != nil {
			return err
		}
	}
	return nil
}
