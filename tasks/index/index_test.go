package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"stepsiem/shared/batch"
	"stepsiem/shared/blob"
	"stepsiem/shared/event"
	"stepsiem/shared/fault"
	"stepsiem/shared/indicator"
	"stepsiem/shared/join"
	"stepsiem/shared/search"
)

// cluster is a fake of the three requests that Index makes.
type cluster struct {
	mu     sync.Mutex
	docs   map[string]map[string]any // by id
	refuse string                    // the id that the mapper refuses
	down   bool
	bulked func() // after each bulk of creates
}

func (c *cluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.down {
		http.Error(w, `{"error":{"type":"cluster_manager_not_discovered_exception","reason":"gone"}}`, http.StatusServiceUnavailable)
		return
	}
	body, _ := io.ReadAll(r.Body)
	if r.URL.Path == "/_mget" {
		var ask struct {
			Docs []struct {
				ID string `json:"_id"`
			}
		}
		_ = json.Unmarshal(body, &ask)
		var out []any
		for _, d := range ask.Docs {
			out = append(out, map[string]any{"_id": d.ID, "_source": c.docs[d.ID]})
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"docs": out})
		return
	}
	lines := bytes.Split(bytes.TrimSpace(body), []byte("\n"))
	var items []any
	failed := false
	for i := 0; i+1 < len(lines); i += 2 {
		var a map[string]struct {
			ID string `json:"_id"`
		}
		var doc map[string]any
		_ = json.Unmarshal(lines[i], &a)
		_ = json.Unmarshal(lines[i+1], &doc)
		for verb, target := range a {
			status, why := c.item(verb, target.ID, doc)
			item := map[string]any{"status": status}
			if why != "" {
				item["error"], failed = map[string]any{"type": why, "reason": "because"}, true
			}
			items = append(items, map[string]any{verb: item})
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"errors": failed, "items": items})
	if c.bulked != nil {
		c.bulked()
	}
}

func (c *cluster) item(verb, id string, doc map[string]any) (status int, why string) {
	_, there := c.docs[id]
	switch {
	case verb == "update" && !there:
		return 404, "document_missing_exception"
	case verb == "update":
		c.docs[id]["threat"] = doc["script"].(map[string]any)["params"].(map[string]any)["threat"]
		return 200, ""
	case id == c.refuse:
		return 400, "mapper_parsing_exception"
	case there:
		return 409, "version_conflict_engine_exception"
	}
	c.docs[id] = doc
	return 201, ""
}

var now = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

const documents = 10

// setUp stores a chunk of ten documents, each with a source address of its own, as Parse, GeoEnrich and ThreatMatch do.
func setUp(t *testing.T) (*Indexer, *cluster, Input) {
	t.Helper()
	ctx, store := t.Context(), &blob.Memory{}
	in := Input{Chunk: batch.Chunk{Batch: "authlog-1", Run: "batches/authlog-1/x", Chunk: "0001-0001", Documents: documents}, Entered: now}
	put := func(key string, write func(io.Writer) error) {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		if _, err := store.Put(ctx, "work", key, b.Bytes(), nil); err != nil {
			t.Fatal(err)
		}
	}
	src := &event.Source{Bucket: "landing", Key: "a.log", Path: "s3://landing/a.log", Base: "a.log"}
	var c event.Chunk
	var d event.Doc
	d.Open(src, "authlog", in.Chunk.Batch, now)
	for i := range documents {
		d.Buf = c.Buf
		d.Reset(int64(100 * i))
		d.ID = []byte(fmt.Sprintf("id%d", i))
		d.Begin(now.UnixMilli())
		d.Original([]byte("line"))
		d.Buf = append(d.Buf, `},"source":{"ip":"`+addr(i).String()+`"`...)
		d.MarkSource(addr(i))
		d.Buf = append(d.Buf, "},"...)
		d.Labels()
		d.Buf = append(d.Buf, "}}"...)
		c.Commit(&d, []byte("line"), 0)
	}
	put(batch.ChunkKey(in.Chunk.Run, in.Chunk.Chunk), func(w io.Writer) error {
		ew := event.NewWriter(w)
		if err := ew.Write("authlog", &c); err != nil {
			return err
		}
		return ew.Close()
	})
	put(batch.AddressesKey(in.Chunk.Run, in.Chunk.Chunk), func(w io.Writer) error { return join.WriteAddresses(w, c.Addresses.List()) })
	put(batch.GroupKey(in.Chunk.Run, "0001"), func(w io.Writer) error {
		return json.NewEncoder(w).Encode([]batch.Object{{Bucket: "landing", Key: "a.log"}})
	})
	in.Geo.Key, in.Threat.Key = batch.GeoKey(in.Chunk.Run, in.Chunk.Chunk), batch.ThreatKey(in.Chunk.Run, in.Chunk.Chunk)
	put(in.Geo.Key, func(w io.Writer) error {
		return join.WriteGeo(w, documents, func(dst []byte, i int) []byte {
			return fmt.Appendf(dst, `,"geo":{"city_name":"city %d"}`, i)
		})
	})
	put(in.Threat.Key, func(w io.Writer) error { return join.WriteThreat(w, nil) })

	fake := &cluster{docs: map[string]map[string]any{}}
	server := httptest.NewServer(fake)
	t.Cleanup(server.Close)
	client, err := search.New(search.Config{Endpoint: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	x := &Indexer{Config: Config{WorkBucket: "work", QuarantineBucket: "quarantine", DataBucket: "data", OutagePatience: time.Minute}, Store: store, Search: client,
		Sets: indicator.NewStore(blob.Bucket{Store: store, Name: "data"}, 0), Now: func() time.Time { return now }, Retry: search.Retry{Attempts: 2, Base: time.Millisecond, Max: time.Millisecond}}
	return x, fake, in
}

func addr(i int) netip.Addr { return netip.AddrFrom4([4]byte{8, 8, 8, byte(i)}) }

func ledger(t *testing.T, x *Indexer, in Input) batch.IndexCounts {
	t.Helper()
	raw, err := blob.Read(t.Context(), x.Store, "work", batch.LedgerKey(in.Chunk.Run, in.Chunk.Chunk), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	var l batch.IndexLedger
	if err := json.Unmarshal(raw, &l); err != nil {
		t.Fatal(err)
	}
	return l.Objects[0]
}

func publish(t *testing.T, x *Indexer, addresses ...netip.Addr) {
	t.Helper()
	var entries []indicator.Entry
	for _, a := range addresses {
		entries = append(entries, indicator.Entry{Prefix: netip.PrefixFrom(a, a.BitLen()), Feeds: []string{"test"}, FirstSeen: now, LastSeen: now, Confidence: 80})
	}
	if _, err := indicator.Publish(context.Background(), blob.Bucket{Store: x.Store, Name: "data"}, entries, now); err != nil {
		t.Fatal(err)
	}
}

func TestCounts(t *testing.T) {
	x, fake, in := setUp(t)
	fake.refuse = "id3"
	fake.docs["id5"] = map[string]any{"labels": map[string]any{"batch": "another"}}
	if _, err := x.Handle(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	if got := ledger(t, x, in); got != (batch.IndexCounts{Indexed: 8, Duplicate: 1, Quarantined: 1}) {
		t.Errorf("ledger is %+v", got)
	}
	if geo, _ := json.Marshal(fake.docs["id7"]["source"]); string(geo) != `{"geo":{"city_name":"city 7"},"ip":"8.8.8.7"}` {
		t.Errorf("source is %s", geo)
	}
	body, _, err := x.Store.Get(t.Context(), "quarantine", batch.QuarantineKey("authlog-1", "index-0001-0001"), "")
	if err != nil {
		t.Fatal(err)
	}
	for e, err := range batch.ReadQuarantine(body) {
		if err != nil || e.Offset != 300 || string(e.Raw) != "line" || !strings.Contains(e.Reason, "mapper_parsing_exception") || e.Key != "a.log" {
			t.Errorf("entry is %+v, %v", e, err)
		}
	}
}

// TestRetryCountsOwnAsIndexed repeats a chunk whose first attempt broke off: the ledger is that of an undisturbed run.
func TestRetryCountsOwnAsIndexed(t *testing.T) {
	x, fake, in := setUp(t)
	fake.docs["id5"] = map[string]any{"labels": map[string]any{"batch": "another"}}
	if _, err := x.Handle(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	delete(fake.docs, "id8") // as if the first attempt had not come so far
	in.Attempt = 1
	if _, err := x.Handle(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	if got := ledger(t, x, in); got != (batch.IndexCounts{Indexed: 9, Duplicate: 1}) {
		t.Errorf("ledger is %+v", got)
	}
}

// TestPublishedMeanwhile publishes a set after ThreatMatch and while documents are being written: none slips past.
func TestPublishedMeanwhile(t *testing.T) {
	x, fake, in := setUp(t)
	publish(t, x, addr(1))
	set, _, err := x.Sets.Current(t.Context(), now)
	if err != nil {
		t.Fatal(err)
	}
	in.Threat.Version = set.Version()
	m, _ := set.Match(addr(1))
	var b bytes.Buffer
	if err := join.WriteThreat(&b, map[int32]*indicator.Match{1: &m}); err != nil {
		t.Fatal(err)
	}
	if _, err := x.Store.Put(t.Context(), "work", in.Threat.Key, b.Bytes(), nil); err != nil {
		t.Fatal(err)
	}
	fake.refuse = "id4" // is an indicator in the new set, and not there to be updated
	var once sync.Once
	fake.bulked = func() { once.Do(func() { publish(t, x, addr(2), addr(4)) }) }
	if _, err := x.Handle(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	for i := range documents {
		if i == 4 {
			continue
		}
		threat := fake.docs[fmt.Sprintf("id%d", i)]["threat"].(map[string]any)
		if threat["matched"] != (i == 2) {
			t.Errorf("document %d: %v", i, threat)
		}
	}
}

func TestOutage(t *testing.T) {
	x, fake, in := setUp(t)
	fake.down = true
	if _, err := x.Handle(t.Context(), in); fault.Of(err) != fault.Unavailable {
		t.Errorf("at first: %v", err)
	}
	in.Entered = now.Add(-2 * time.Minute)
	if _, err := x.Handle(t.Context(), in); fault.Of(err) != fault.Outage {
		t.Errorf("after the patience: %v", err)
	}
}

func TestLostDocumentIsABug(t *testing.T) {
	x, _, in := setUp(t)
	in.Chunk.Documents++
	if _, err := x.Handle(t.Context(), in); fault.Of(err) != fault.Bug {
		t.Error(err)
	}
}
