package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"reflect"
	"testing"
	"testing/iotest"
	"time"

	"stepsiem/shared/batch"
	"stepsiem/shared/blob"
	"stepsiem/shared/event"
	"stepsiem/shared/fault"
	"stepsiem/shared/format"
)

var (
	noon    = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	caught  = Caught{Error: "Siem.BadInput", Cause: `{"errorMessage":"mapping is wrong","errorType":"Siem.BadInput"}`}
	objects = []batch.Object{{Bucket: "landing", Key: "authlog/a", Version: "v1"}, {Bucket: "landing", Key: "b", Version: "v2"}}
)

func quarantiner(t *testing.T) (*Quarantiner, *blob.Memory) {
	t.Helper()
	store := &blob.Memory{}
	raw, err := json.Marshal(objects)
	if err != nil {
		t.Fatal(err)
	}
	put(t, store, batch.GroupKey("run", "0001"), raw)
	return &Quarantiner{Config: Config{WorkBucket: "work", QuarantineBucket: "quarantine"}, Store: store, Now: func() time.Time { return noon }}, store
}

func put(t *testing.T, store *blob.Memory, key string, raw []byte) {
	t.Helper()
	if _, err := store.Put(t.Context(), "work", key, raw, nil); err != nil {
		t.Fatal(err)
	}
}

// chunk is three documents, two of the first object.
func chunk(t *testing.T, object int32) []byte {
	t.Helper()
	var c event.Chunk
	var d event.Doc
	d.Open(&event.Source{Path: "s3://landing/x", Base: "x"}, "authlog", "b", noon)
	for i, o := range []int32{0, object, 0} {
		d.Buf = c.Buf
		d.Reset(int64(10 * i))
		d.Buf = append(d.Buf, `{"n":`...)
		d.Buf = append(event.AppendInt(d.Buf, int64(i)), '}')
		c.Commit(&d, []byte("raw line"), o)
	}
	var b bytes.Buffer
	w := event.NewWriter(&b)
	if err := w.Write("authlog", &c); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func handle(t *testing.T, q *Quarantiner, input string) (Output, error) {
	t.Helper()
	var in Input
	if err := json.Unmarshal([]byte(input), &in); err != nil {
		t.Fatal(err)
	}
	return q.Handle(t.Context(), in)
}

func stored(t *testing.T, store *blob.Memory, key, ledgerKey string, ledger any) (entries []batch.Entry) {
	t.Helper()
	raw, err := blob.Read(t.Context(), store, "work", ledgerKey, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, ledger); err != nil {
		t.Fatal(err)
	}
	raw, err = blob.Read(t.Context(), store, "quarantine", key, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for e, err := range batch.ReadQuarantine(bytes.NewReader(raw)) {
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, e)
	}
	return entries
}

func TestGroup(t *testing.T) {
	q, store := quarantiner(t)
	out, err := handle(t, q, `{"group":{"batch":"b-1","run":"run","group":"0001","objects":2},"error":{"Error":"Siem.BadInput","Cause":"{\"errorMessage\":\"mapping is wrong\"}"}}`)
	if err != nil || out.Part != "0001" {
		t.Fatalf("part %q, error %v", out.Part, err)
	}
	var ledger batch.ParseLedger
	got := stored(t, store, "b-1/parse-0001.ndjson.gz", batch.LedgerKey("run", "0001"), &ledger)
	e := batch.Entry{Reason: "mapping is wrong", Kind: "Siem.BadInput", Type: "authlog", ParserVersion: format.Version, Batch: "b-1", Bucket: "landing", Key: "authlog/a", Version: "v1", Count: 1, Time: noon}
	f := e
	f.Type, f.Key, f.Version = "mixed", "b", "v2"
	if want := []batch.Entry{e, f}; !reflect.DeepEqual(got, want) {
		t.Errorf("entries %+v\nwant %+v", got, want)
	}
	rows, _, err := batch.Fold([]batch.ParseLedger{ledger}, nil)
	if err != nil || len(rows) != 2 || rows[1].Read != 1 || rows[1].Quarantined != 1 || rows[1].Failed != "mapping is wrong" {
		t.Errorf("ledger %+v, error %v", rows, err)
	}
}

func TestChunk(t *testing.T) {
	q, store := quarantiner(t)
	put(t, store, batch.ChunkKey("run", "0001-0002"), chunk(t, 1))
	out, err := handle(t, q, `{"chunk":{"batch":"b-1","run":"run","chunk":"0001-0002","documents":3},"error":{"Error":"Siem.BadInput","Cause":"no JSON"}}`)
	if err != nil || out.Part != "0001-0002" {
		t.Fatalf("part %q, error %v", out.Part, err)
	}
	var ledger batch.IndexLedger
	got := stored(t, store, "b-1/index-0001-0002.ndjson.gz", batch.LedgerKey("run", "0001-0002"), &ledger)
	entry := func(object int, offset int64, doc string) batch.Entry {
		o := objects[object]
		return batch.Entry{Reason: "no JSON", Kind: "Siem.BadInput", Type: "authlog", ParserVersion: format.Version, Batch: "b-1", Bucket: o.Bucket, Key: o.Key, Version: o.Version,
			Offset: offset, Length: 8, Raw: []byte(doc), Count: 1, Time: noon}
	}
	if want := []batch.Entry{entry(0, 0, `{"n":0}`), entry(1, 10, `{"n":1}`), entry(0, 20, `{"n":2}`)}; !reflect.DeepEqual(got, want) {
		t.Errorf("entries %+v\nwant %+v", got, want)
	}
	want := batch.IndexLedger{Chunk: "0001-0002", Objects: map[int]batch.IndexCounts{0: {Quarantined: 2}, 1: {Quarantined: 1}}}
	if !reflect.DeepEqual(ledger, want) {
		t.Errorf("ledger %+v, want %+v", ledger, want)
	}
}

// failing breaks off while the chunk is read.
type failing struct{ blob.Store }

func (f failing) Get(ctx context.Context, bucket, key, version string) (io.ReadCloser, blob.Info, error) {
	body, info, err := f.Store.Get(ctx, bucket, key, version)
	if err == nil && key == batch.ChunkKey("run", "0001-0002") {
		body = io.NopCloser(iotest.ErrReader(fault.New(fault.Unavailable, "reset")))
	}
	return body, info, err
}

// TestErrors: what is ours and broken is a bug, which must not pass as set aside; an outage is retried.
func TestErrors(t *testing.T) {
	whole := chunk(t, 1)
	for name, tt := range map[string]struct {
		chunk, group []byte
		in           Input
		fail         bool
		want         fault.Kind
	}{
		"chunk is missing":   {want: fault.Bug},
		"chunk is truncated": {chunk: whole[:len(whole)-4], want: fault.Bug},
		"chunk is something": {chunk: []byte("something"), want: fault.Bug},
		"chunk is too short": {chunk: chunk(t, 0), in: Input{Chunk: &batch.Chunk{Run: "run", Chunk: "0001-0002", Documents: 4}}, want: fault.Bug},
		"no such object":     {chunk: chunk(t, 2), want: fault.Bug},
		"group is missing":   {in: Input{Group: &batch.Group{Run: "run", Group: "0009"}}, want: fault.Bug},
		"group is something": {group: []byte("{"), in: Input{Group: &batch.Group{Run: "run", Group: "0001"}}, want: fault.Bug},
		"neither":            {in: Input{Error: caught}, want: fault.Bug},
		"S3 goes away":       {chunk: whole, fail: true, want: fault.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			q, store := quarantiner(t)
			if tt.chunk != nil {
				put(t, store, batch.ChunkKey("run", "0001-0002"), tt.chunk)
			}
			if tt.group != nil {
				put(t, store, batch.GroupKey("run", "0001"), tt.group)
			}
			if tt.fail {
				q.Store = failing{store}
			}
			if reflect.DeepEqual(tt.in, Input{}) {
				tt.in.Chunk = &batch.Chunk{Run: "run", Chunk: "0001-0002", Documents: 3}
			}
			if _, err := q.Handle(t.Context(), tt.in); fault.Of(err) != tt.want {
				t.Errorf("error %v of kind %s, want %s", err, fault.Of(err), tt.want)
			}
			for info := range store.List(t.Context(), "quarantine", "") {
				t.Errorf("%s was written", info.Key)
			}
		})
	}
}

func TestReason(t *testing.T) {
	for want, c := range map[string]Caught{
		"mapping is wrong": caught,
		"plain":            {Error: "Siem.BadInput", Cause: "plain"},
		"Siem.NotFound":    {Error: "Siem.NotFound"},
	} {
		if got := c.reason(); got != want {
			t.Errorf("reason of %+v is %q, want %q", c, got, want)
		}
	}
}
