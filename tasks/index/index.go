package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"stepsiem/shared/batch"
	"stepsiem/shared/blob"
	"stepsiem/shared/event"
	"stepsiem/shared/fault"
	"stepsiem/shared/format"
	"stepsiem/shared/indicator"
	"stepsiem/shared/join"
	"stepsiem/shared/search"
)

// Config is Index's environment.
type Config struct {
	WorkBucket       string        `env:"WORK_BUCKET"`
	QuarantineBucket string        `env:"QUARANTINE_BUCKET"`
	DataBucket       string        `env:"DATA_BUCKET"`
	SearchEndpoint   string        `env:"SEARCH_ENDPOINT"`
	SearchAuth       string        `env:"SEARCH_AUTH"`
	SearchSecretARN  string        `env:"SEARCH_SECRET_ARN"`
	OutagePatience   time.Duration `env:"OUTAGE_PATIENCE_SECONDS"` // how long an outage is retried before the execution fails
}

// A body of a few megabytes keeps OpenSearch busy without filling its buffers; two at a time hide the network.
const (
	BodyBytes  = 4 << 20
	Senders    = 2
	maxEntries = 10_000
)

// Indexer writes chunks to OpenSearch.
type Indexer struct {
	Config
	Store  blob.Store
	Search *search.Client
	Sets   *indicator.Store
	Now    func() time.Time
	Retry  search.Retry
}

// Input is a chunk, what was found about its addresses, and how often this state has been tried.
type Input struct {
	Chunk   batch.Chunk `json:"chunk"`
	Geo     batch.Fact  `json:"geo"`
	Threat  batch.Fact  `json:"threat"`
	Attempt int         `json:"attempt"`
	Entered time.Time   `json:"entered"` // when the state was entered; attempts and redrives before are earlier
}

// Output names the chunk that is done.
type Output struct {
	Chunk string `json:"chunk"`
}

// Handle is the Index task.
func (x *Indexer) Handle(ctx context.Context, in Input) (Output, error) {
	err := x.handle(ctx, in)
	if fault.Of(err) == fault.Unavailable && !in.Entered.IsZero() && x.Now().Sub(in.Entered) > x.OutagePatience {
		err = fault.New(fault.Outage, "outage of over %s, rerun when it is over: %w", x.OutagePatience, err)
	}
	return Output{in.Chunk.Chunk}, err
}

func (x *Indexer) handle(ctx context.Context, in Input) error {
	j := &job{x: x, in: in, counts: map[int]batch.IndexCounts{}, quarantine: batch.NewQuarantine(maxEntries)}
	if err := j.load(ctx); err != nil {
		return err
	}
	if err := j.write(ctx); err != nil {
		return err
	}
	if err := j.catchUp(ctx); err != nil {
		return err
	}
	return j.finish(ctx)
}

// job is the work on one chunk.
type job struct {
	x       *Indexer
	in      Input
	facts   join.Facts
	objects []batch.Object

	mu         sync.Mutex
	counts     map[int]batch.IndexCounts
	quarantine *batch.Quarantine
	seen       int64
}

// open reads one of our own work objects; a missing one is a bug.
func (j *job) open(ctx context.Context, key string, f func(io.Reader) error) error {
	body, _, err := j.x.Store.Get(ctx, j.x.WorkBucket, key, "")
	if fault.Of(err) == fault.NotFound {
		return fault.New(fault.Bug, "read work: %w", err)
	}
	if err != nil {
		return err
	}
	defer body.Close()
	return f(body)
}

// load reads the facts and the names of the chunk's objects.
func (j *job) load(ctx context.Context) error {
	run, chunk := j.in.Chunk.Run, j.in.Chunk.Chunk
	group, _, _ := strings.Cut(chunk, "-")
	err := j.open(ctx, batch.GroupKey(run, group), func(r io.Reader) error { return json.NewDecoder(r).Decode(&j.objects) })
	if err != nil {
		return err
	}
	err = j.open(ctx, j.in.Geo.Key, func(r io.Reader) (err error) {
		j.facts.Geo, err = join.ReadGeo(r)
		return err
	})
	if err != nil {
		return err
	}
	j.facts.Version = j.in.Threat.Version
	return j.open(ctx, j.in.Threat.Key, func(r io.Reader) (err error) {
		j.facts.Threat, err = join.ReadThreat(r)
		return err
	})
}

// body is a bulk body and where its items come from.
type body struct {
	search.Body
	records []event.Record
}

// write creates every document of the chunk.
func (j *job) write(ctx context.Context) error {
	return j.send(ctx, func(emit func(*event.Chunk, *event.Record, func([]byte) []byte) error) error {
		return j.each(ctx, func(typ string, c *event.Chunk, r *event.Record) error {
			return emit(c, r, func(dst []byte) []byte { return j.facts.AppendItem(dst, typ, c, r) })
		})
	}, j.created)
}

// each gives every record of the chunk to f.
func (j *job) each(ctx context.Context, f func(typ string, c *event.Chunk, r *event.Record) error) error {
	return j.open(ctx, batch.ChunkKey(j.in.Chunk.Run, j.in.Chunk.Chunk), func(r io.Reader) error {
		return event.ReadChunk(r, func(typ string, c *event.Chunk) error {
			for i := range c.Records {
				if err := f(typ, c, &c.Records[i]); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// send packs what produce emits into bodies and sends them, a few at a time; done is told of each body that went through.
func (j *job) send(ctx context.Context, produce func(emit func(*event.Chunk, *event.Record, func([]byte) []byte) error) error, done func(context.Context, *body, []search.Outcome) error) error {
	g, ctx := errgroup.WithContext(ctx)
	bodies := make(chan *body)
	free := make(chan *body, Senders+1)
	for range Senders + 1 {
		free <- &body{}
	}
	g.Go(func() error {
		defer close(bodies)
		var b *body
		hand := func() error {
			select {
			case bodies <- b:
				b = nil
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		err := produce(func(c *event.Chunk, r *event.Record, appendItem func([]byte) []byte) error {
			if b == nil {
				select {
				case b = <-free:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			b.Buf = appendItem(b.Buf)
			b.Add()
			b.records = append(b.records, *r)
			if len(b.Buf) >= BodyBytes {
				return hand()
			}
			return nil
		})
		if err == nil && b != nil {
			err = hand()
		}
		return err
	})
	for range Senders {
		g.Go(func() error {
			for b := range bodies {
				var outcomes []search.Outcome
				err := j.x.Search.Bulk(ctx, &b.Body, j.x.Retry, func(o search.Outcome) error {
					outcomes = append(outcomes, o)
					return nil
				})
				if err == nil {
					err = done(ctx, b, outcomes)
				}
				if err != nil {
					return err
				}
				b.Reset()
				b.records = b.records[:0]
				free <- b
			}
			return nil
		})
	}
	return g.Wait()
}

// created counts a body. In a repetition a duplicate may be this batch's own document, written before the interruption:
// then it counts as indexed, as it would have without one.
func (j *job) created(ctx context.Context, b *body, outcomes []search.Outcome) error {
	own := map[int]bool{}
	if j.in.Attempt > 0 || j.in.Chunk.Replay || j.x.Now().Sub(j.in.Entered) > time.Minute {
		var err error
		if own, err = j.own(ctx, b, outcomes); err != nil {
			return err
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.seen += int64(len(b.records))
	for i := range b.records {
		j.count(&b.records[i], batch.IndexCounts{Indexed: 1})
	}
	for _, o := range outcomes {
		r := &b.records[o.Item]
		switch {
		case o.Duplicate && own[o.Item]:
		case o.Duplicate:
			j.count(r, batch.IndexCounts{Indexed: -1, Duplicate: 1})
		default:
			j.count(r, batch.IndexCounts{Indexed: -1, Quarantined: 1})
			j.setAside(r, b.Item(o.Item), o.Refused)
		}
	}
	return nil
}

func (j *job) count(r *event.Record, d batch.IndexCounts) {
	c := j.counts[int(r.Object)]
	c.Indexed += d.Indexed
	c.Duplicate += d.Duplicate
	c.Quarantined += d.Quarantined
	j.counts[int(r.Object)] = c
}

// action is an item's first line.
type action struct {
	Create struct {
		Index string `json:"_index"`
		ID    string `json:"_id"`
	} `json:"create"`
}

// origin is what tells whose a document is.
type origin struct {
	Labels struct {
		Batch string `json:"batch"`
	} `json:"labels"`
	Log struct {
		Offset int64 `json:"offset"`
		File   struct {
			Path string `json:"path"`
		} `json:"file"`
	} `json:"log"`
}

// own finds the duplicates of b that this batch itself wrote.
func (j *job) own(ctx context.Context, b *body, outcomes []search.Outcome) (map[int]bool, error) {
	type doc struct {
		Index string `json:"_index"`
		ID    string `json:"_id"`
	}
	var ask struct {
		Docs []doc `json:"docs"`
	}
	var items []int
	for _, o := range outcomes {
		if !o.Duplicate {
			continue
		}
		line, _, _ := strings.Cut(string(b.Item(o.Item)), "\n")
		var a action
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			return nil, fault.New(fault.Bug, "decode action: %w", err)
		}
		ask.Docs = append(ask.Docs, doc{a.Create.Index, a.Create.ID})
		items = append(items, o.Item)
	}
	own := map[int]bool{}
	if len(items) == 0 {
		return own, nil
	}
	raw, err := json.Marshal(ask)
	if err != nil {
		return nil, fmt.Errorf("encode mget: %w", err)
	}
	var answer struct {
		Docs []struct {
			Source origin `json:"_source"`
		} `json:"docs"`
	}
	if err := j.x.Search.Do(ctx, "POST", "/_mget?_source_includes=labels.batch,log.offset,log.file.path", raw, &answer); err != nil {
		return nil, err
	}
	for n, d := range answer.Docs {
		r := &b.records[items[n]]
		own[items[n]] = d.Source.Labels.Batch == j.in.Chunk.Batch && d.Source.Log.Offset == r.Offset && d.Source.Log.File.Path == j.objects[r.Object].Path()
	}
	return own, nil
}

// setAside quarantines a document that the mapper refused, with OpenSearch's reason and the record as it came.
func (j *job) setAside(r *event.Record, item []byte, why *search.Error) {
	_, doc, _ := strings.Cut(string(item), "\n")
	var d struct {
		Event struct {
			Original string `json:"original"`
			Dataset  string `json:"dataset"`
		} `json:"event"`
	}
	raw := []byte(doc)
	if json.Unmarshal(raw, &d) == nil && d.Event.Original != "" {
		raw = []byte(d.Event.Original)
	}
	o := &j.objects[r.Object]
	j.quarantine.Add(batch.Entry{Reason: why.String(), Kind: string(fault.BadInput), Type: d.Event.Dataset, ParserVersion: format.Version, Batch: j.in.Chunk.Batch,
		Bucket: o.Bucket, Key: o.Key, Version: o.Version, Offset: r.Offset, Length: int64(r.Length), Raw: raw, Time: j.x.Now().UTC()})
}

// catchUp closes the gap between ThreatMatch and now: when another indicator set has been published meanwhile, the
// documents whose answers differ get the new ones before the task succeeds. A rescan publishes before it lists indices, so
// either its refresh sees these documents, or this look at the pointer sees its set.
func (j *job) catchUp(ctx context.Context) error {
	set, _, err := j.x.Sets.Current(ctx, j.x.Now())
	if err != nil {
		return err
	}
	if set == nil || set.Version() == j.facts.Version {
		return nil
	}
	now := join.Facts{Version: set.Version()}
	changed := map[int32]bool{}
	addresses, err := join.Addresses(ctx, j.x.Store, j.x.WorkBucket, &j.in.Chunk)
	if err != nil {
		return err
	}
	now.Threat = join.Match(set, addresses)
	for n := range int32(len(addresses)) {
		if was, is := j.facts.Threat[n], now.Threat[n]; !was.Same(is) {
			changed[n] = true
		}
	}
	if len(changed) == 0 {
		return nil
	}
	return j.send(ctx, func(emit func(*event.Chunk, *event.Record, func([]byte) []byte) error) error {
		return j.each(ctx, func(typ string, c *event.Chunk, r *event.Record) error {
			if !changed[r.Source.Addr] && !changed[r.Destination.Addr] {
				return nil
			}
			return emit(c, r, func(dst []byte) []byte { return now.AppendUpdate(dst, typ, c, r) })
		})
	}, func(context.Context, *body, []search.Outcome) error { return nil })
}

// finish checks that every document is accounted for and leaves the chunk's ledger and what was set aside.
func (j *job) finish(ctx context.Context) error {
	if j.seen != j.in.Chunk.Documents {
		return fault.New(fault.Bug, "chunk %s holds %d documents, %d were announced", j.in.Chunk.Chunk, j.seen, j.in.Chunk.Documents)
	}
	key := batch.QuarantineKey(j.in.Chunk.Batch, "index-"+j.in.Chunk.Chunk)
	switch {
	case j.quarantine.Len() > 0:
		if _, err := j.x.Store.Put(ctx, j.x.QuarantineBucket, key, j.quarantine.Bytes(), nil); err != nil {
			return err
		}
	case j.in.Chunk.Replay:
		if err := j.x.Store.Delete(ctx, j.x.QuarantineBucket, key); err != nil {
			return err
		}
	}
	ledger := batch.IndexLedger{Chunk: j.in.Chunk.Chunk, Objects: j.counts}
	for _, n := range []string{j.in.Geo.Note, j.in.Threat.Note} {
		if n != "" {
			ledger.Notes = append(ledger.Notes, n)
		}
	}
	return blob.PutJSON(ctx, j.x.Store, j.x.WorkBucket, batch.LedgerKey(j.in.Chunk.Run, j.in.Chunk.Chunk), ledger)
}
