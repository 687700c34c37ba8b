package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"path"
	"time"

	"stepsiem/shared/batch"
	"stepsiem/shared/blob"
	"stepsiem/shared/catalog"
	"stepsiem/shared/eni"
	"stepsiem/shared/event"
	"stepsiem/shared/fault"
	"stepsiem/shared/format"
	"stepsiem/shared/join"
	"stepsiem/shared/vpcflowlog"
)

// Config is Parse's environment.
type Config struct {
	WorkBucket       string `env:"WORK_BUCKET"`
	QuarantineBucket string `env:"QUARANTINE_BUCKET"`
	DataBucket       string `env:"DATA_BUCKET"`
	EarliestEvent    string `env:"EARLIEST_EVENT"` // a date
	FutureHours      int    `env:"FUTURE_HOURS"`
	MaxInflatedBytes int64  `env:"MAX_INFLATED_BYTES"`
	KeepFlows        string `env:"KEEP_FLOWS"`
	AuthlogFilter    string `env:"AUTHLOG_FILTER"`
	FlowLogFormat    string `env:"FLOW_LOG_FORMAT"`
	SnapshotFunction string `env:"ENI_SNAPSHOT_FUNCTION"`
}

// A chunk ends at whichever comes first. Sizes double with every quarter of the allowed chunks used up, so that a group
// never makes more than it may.
const (
	ChunkDocuments = 100_000
	ChunkBytes     = 16 << 20 // of records as they came
	MaxEntries     = 10_000   // quarantine entries of one group with their bytes; the rest is counted
	eniAge         = 5 * time.Minute
)

// Parser reads groups of objects.
type Parser struct {
	Config
	Lambda   invoker // calls EniSnapshot; nil: nobody does
	store    blob.Store
	now      func() time.Time
	earliest time.Time
	eni      *eni.Store
	formats  []format.Format
}

// New checks cfg and returns a Parser.
func New(cfg Config, store blob.Store, now func() time.Time) (*Parser, error) {
	earliest, err := time.Parse(time.DateOnly, cfg.EarliestEvent)
	if err != nil {
		return nil, fmt.Errorf("read EARLIEST_EVENT: %w", err)
	}
	p := &Parser{Config: cfg, store: store, now: now, earliest: earliest, eni: eni.NewStore(store, cfg.DataBucket, eniAge)}
	p.formats, err = catalog.Formats(catalog.Config{KeepFlows: cfg.KeepFlows, FlowFormat: cfg.FlowLogFormat, AuthlogFilter: cfg.AuthlogFilter, ENI: p.face})
	return p, err
}

// face is what is known of a flow log's interface.
func (p *Parser) face(id string) (vpcflowlog.Interface, bool) {
	i, ok := p.eni.Lookup(id)
	return vpcflowlog.Interface{VPC: i.VPC, SecurityGroups: i.SecurityGroups}, ok
}

// Handle is the Parse task: it reads a group's objects, leaves chunks of documents and their addresses, sets aside what is
// no document, and writes the group's ledger.
func (p *Parser) Handle(ctx context.Context, in batch.Group) (batch.Parsed, error) {
	raw, err := blob.Read(ctx, p.store, p.WorkBucket, batch.GroupKey(in.Run, in.Group), 64<<20)
	if err != nil {
		return batch.Parsed{}, fault.New(ours(err), "read group: %w", err)
	}
	var objects []batch.Object
	if err := json.Unmarshal(raw, &objects); err != nil {
		return batch.Parsed{}, fault.New(fault.Bug, "decode group: %w", err)
	}
	now := p.now().UTC()
	w := &writer{ctx: ctx, p: p, group: in, objects: objects, now: now, quarantine: batch.NewQuarantine(MaxEntries)}
	ledger := batch.ParseLedger{Group: in.Group, Notes: p.eni.Refresh(ctx, now)}
	out := batch.Parsed{Group: in.Group}
	reader := format.NewReader(format.Options{Formats: p.formats, Batch: in.Batch, Ingested: now, Earliest: p.earliest,
		Latest: now.Add(time.Duration(p.FutureHours) * time.Hour), MaxInflated: p.MaxInflatedBytes}, w)
	for i := range objects {
		tally, err := p.object(ctx, reader, w, i)
		if err != nil {
			return batch.Parsed{}, err
		}
		ledger.Objects = append(ledger.Objects, batch.ObjectTally{Object: objects[i], LogType: cmp.Or(tally.Type, objects[i].LogType()), Read: tally.Read,
			Documents: tally.Documents, Quarantined: tally.Quarantined, Filtered: tally.Filtered, Inflated: tally.Bytes, Failed: tally.Failed})
		out.Read += tally.Read
		out.Documents += tally.Documents
		out.Quarantined += tally.Quarantined
		out.Bytes += tally.Bytes
		for _, n := range tally.Filtered {
			out.Filtered += n
		}
	}
	if err := w.finish(); err != nil {
		return batch.Parsed{}, err
	}
	ledger.Chunks, out.Chunks = w.tallies, w.chunks
	ledger.Notes = append(ledger.Notes, p.snapshot(ctx, now)...)
	if out.Read != out.Documents+out.Quarantined+out.Filtered {
		return batch.Parsed{}, fault.New(fault.Bug, "group %s does not add up: read %d, documents %d, quarantined %d, filtered %d", in.Group, out.Read, out.Documents, out.Quarantined, out.Filtered)
	}
	return out, blob.PutJSON(ctx, p.store, p.WorkBucket, batch.LedgerKey(in.Run, in.Group), ledger)
}

// ours is the kind of an error about one of our own work objects: a missing one is a bug.
func ours(err error) fault.Kind {
	if k := fault.Of(err); k != fault.NotFound {
		return k
	}
	return fault.Bug
}

// object reads one object. One that is gone or that nobody can name is set aside whole.
func (p *Parser) object(ctx context.Context, r *format.Reader, w *writer, i int) (format.Tally, error) {
	o := &w.objects[i]
	w.object = i
	body, info, err := p.store.Get(ctx, o.Bucket, o.Key, o.Version)
	switch kind := fault.Of(err); kind {
	case "":
	case fault.NotFound, fault.BadInput:
		t := format.Tally{Type: o.LogType(), Read: 1, Quarantined: 1, Failed: err.Error()}
		return t, w.Reject(&format.Reject{Reason: err.Error(), Kind: kind, Type: t.Type})
	default:
		return format.Tally{}, err
	}
	defer body.Close()
	at := info.Time
	if named, ok := format.TimeOfKey(o.Key); ok {
		at = named
	}
	src := &event.Source{Bucket: o.Bucket, Key: o.Key, Version: o.Version, Path: o.Path(), Base: path.Base(o.Key), Time: at, Type: cmp.Or(o.Type, info.Type)}
	return r.Read(ctx, src, int32(i), body)
}

// writer is the sink of a group: it fills chunks and gathers what is set aside.
type writer struct {
	ctx        context.Context
	p          *Parser
	group      batch.Group
	objects    []batch.Object
	object     int // the one being read
	now        time.Time
	quarantine *batch.Quarantine
	tallies    []batch.ChunkTally
	chunks     []batch.Chunk

	buf       bytes.Buffer
	out       *event.Writer
	documents map[int]int64
	count     int64
	bytes     int64
	last      *event.Chunk
}

// Block adds documents to the open chunk and ends it when it is large enough.
func (w *writer) Block(typ string, c *event.Chunk) error {
	if w.out == nil {
		w.buf.Reset()
		w.out, w.documents = event.NewWriter(&w.buf), map[int]int64{}
	}
	if err := w.out.Write(typ, c); err != nil {
		return err
	}
	for i := range c.Records {
		w.documents[int(c.Records[i].Object)]++
		w.bytes += int64(c.Records[i].Length)
	}
	w.count += int64(len(c.Records))
	w.last = c
	grow := int64(1) << (4 * len(w.chunks) / max(w.group.Chunks, 4))
	if w.count >= ChunkDocuments*grow || w.bytes >= ChunkBytes*grow {
		return w.end()
	}
	return nil
}

// end stores the open chunk.
func (w *writer) end() error {
	name := fmt.Sprintf("%s-%04d", w.group.Group, len(w.chunks)+1)
	if err := w.out.Close(); err != nil {
		return fmt.Errorf("end chunk: %w", err)
	}
	list := w.last.Addresses.List()
	var addresses bytes.Buffer
	if err := join.WriteAddresses(&addresses, list); err != nil {
		return err
	}
	if _, err := w.p.store.Put(w.ctx, w.p.WorkBucket, batch.AddressesKey(w.group.Run, name), addresses.Bytes(), nil); err != nil {
		return err
	}
	if _, err := w.p.store.Put(w.ctx, w.p.WorkBucket, batch.ChunkKey(w.group.Run, name), w.buf.Bytes(), nil); err != nil {
		return err
	}
	w.chunks = append(w.chunks, batch.Chunk{Batch: w.group.Batch, Run: w.group.Run, Chunk: name, Documents: w.count, Addresses: len(list), Replay: w.group.Replay})
	w.tallies = append(w.tallies, batch.ChunkTally{Chunk: name, Documents: w.documents})
	w.last.Addresses.Reset()
	w.out, w.last, w.count, w.bytes = nil, nil, 0, 0
	return nil
}

// Reject sets one record aside.
func (w *writer) Reject(r *format.Reject) error {
	o := &w.objects[w.object]
	w.quarantine.Add(batch.Entry{Reason: r.Reason, Kind: string(r.Kind), Type: r.Type, ParserVersion: format.Version, Batch: w.group.Batch,
		Bucket: o.Bucket, Key: o.Key, Version: o.Version, Offset: r.Offset, Length: r.Length, Raw: r.Raw, Time: w.now})
	return nil
}

// finish stores the last chunk and what was set aside; a rerun without anything set aside takes back what the earlier
// run had.
func (w *writer) finish() error {
	if w.out != nil {
		if err := w.end(); err != nil {
			return err
		}
	}
	key := batch.QuarantineKey(w.group.Batch, "parse-"+w.group.Group)
	if w.quarantine.Len() > 0 {
		_, err := w.p.store.Put(w.ctx, w.p.QuarantineBucket, key, w.quarantine.Bytes(), nil)
		return err
	}
	if w.group.Replay {
		return w.p.store.Delete(w.ctx, w.p.QuarantineBucket, key)
	}
	return nil
}
