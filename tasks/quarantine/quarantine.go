package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"stepsiem/shared/batch"
	"stepsiem/shared/blob"
	"stepsiem/shared/event"
	"stepsiem/shared/fault"
	"stepsiem/shared/format"
)

// Config is Quarantine's environment.
type Config struct {
	WorkBucket       string `env:"WORK_BUCKET"`
	QuarantineBucket string `env:"QUARANTINE_BUCKET"`
}

const (
	maxEntries = 100_000  // that keep their documents; the rest is counted
	maxWork    = 64 << 20 // bytes of a group's object list
)

// Quarantiner sets aside, as a whole, what Parse or Index refused as a whole.
type Quarantiner struct {
	Config
	Store blob.Store
	Now   func() time.Time
}

// Input is a group that can't be parsed or a chunk that can't be indexed, and the error that was caught.
type Input struct {
	Group *batch.Group `json:"group"`
	Chunk *batch.Chunk `json:"chunk"`
	Error Caught       `json:"error"`
}

// Caught is the error as Step Functions words it.
type Caught struct {
	Error string
	Cause string // of a Lambda: {"errorMessage","errorType"}
}

// reason is the error's own text.
func (c Caught) reason() string {
	var cause struct {
		Message string `json:"errorMessage"`
	}
	_ = json.Unmarshal([]byte(c.Cause), &cause) // else it is text already
	return cmp.Or(cause.Message, c.Cause, c.Error)
}

// Output is the name of the group or chunk.
type Output struct {
	Part string `json:"part"`
}

// Handle is the Quarantine task. It leaves the quarantine object and the ledger in the place of the task that failed.
func (q *Quarantiner) Handle(ctx context.Context, in Input) (Output, error) {
	switch {
	case in.Group != nil:
		return Output{in.Group.Group}, q.group(ctx, in.Group, in.Error)
	case in.Chunk != nil:
		return Output{in.Chunk.Chunk}, q.chunk(ctx, in.Chunk, in.Error)
	}
	return Output{}, fault.New(fault.Bug, "quarantine: neither a group nor a chunk")
}

// group sets each object aside: one read, one quarantined.
func (q *Quarantiner) group(ctx context.Context, g *batch.Group, caught Caught) error {
	objects, err := q.objects(ctx, g.Run, g.Group)
	if err != nil {
		return err
	}
	aside := batch.NewQuarantine(maxEntries)
	ledger := batch.ParseLedger{Group: g.Group, Chunks: []batch.ChunkTally{}}
	for _, o := range objects {
		e := q.entry(g.Batch, o, caught)
		aside.Add(e)
		ledger.Objects = append(ledger.Objects, batch.ObjectTally{Object: o, LogType: o.LogType(), Read: 1, Quarantined: 1, Failed: e.Reason})
	}
	return q.put(ctx, batch.QuarantineKey(g.Batch, "parse-"+g.Group), aside, batch.LedgerKey(g.Run, g.Group), ledger)
}

// chunk sets each document aside.
func (q *Quarantiner) chunk(ctx context.Context, c *batch.Chunk, caught Caught) error {
	group, _, _ := strings.Cut(c.Chunk, "-")
	objects, err := q.objects(ctx, c.Run, group)
	if err != nil {
		return err
	}
	body, _, err := q.Store.Get(ctx, q.WorkBucket, batch.ChunkKey(c.Run, c.Chunk), "")
	if err != nil {
		return ours(err)
	}
	defer body.Close()
	aside := batch.NewQuarantine(maxEntries)
	ledger := batch.IndexLedger{Chunk: c.Chunk, Objects: map[int]batch.IndexCounts{}}
	err = event.ReadChunk(body, func(typ string, docs *event.Chunk) error {
		for i := range docs.Records {
			r := &docs.Records[i]
			n := int(r.Object)
			if n < 0 || n >= len(objects) {
				return fault.New(fault.Bug, "document of object %d, the group has %d", n, len(objects))
			}
			e := q.entry(c.Batch, objects[n], caught)
			e.Type, e.Offset, e.Length, e.Raw = typ, r.Offset, int64(r.Length), docs.Doc(r)
			aside.Add(e)
			counts := ledger.Objects[n]
			counts.Quarantined++
			ledger.Objects[n] = counts
		}
		return nil
	})
	if err != nil {
		return fault.New(fault.Of(err), "read chunk %s: %w", c.Chunk, err)
	}
	if aside.Len() != c.Documents {
		return fault.New(fault.Bug, "chunk %s has %d documents, %d were set aside", c.Chunk, c.Documents, aside.Len())
	}
	return q.put(ctx, batch.QuarantineKey(c.Batch, "index-"+c.Chunk), aside, batch.LedgerKey(c.Run, c.Chunk), ledger)
}

func (q *Quarantiner) entry(name string, o batch.Object, caught Caught) batch.Entry {
	return batch.Entry{Reason: caught.reason(), Kind: caught.Error, Type: o.LogType(), ParserVersion: format.Version, Batch: name,
		Bucket: o.Bucket, Key: o.Key, Version: o.Version, Time: q.Now().UTC()}
}

// objects are those of a group, in the order of their numbers.
func (q *Quarantiner) objects(ctx context.Context, run, group string) ([]batch.Object, error) {
	key := batch.GroupKey(run, group)
	raw, err := blob.Read(ctx, q.Store, q.WorkBucket, key, maxWork)
	if err != nil {
		return nil, ours(err)
	}
	var objects []batch.Object
	if err := json.Unmarshal(raw, &objects); err != nil {
		return nil, fault.New(fault.Bug, "decode %s: %w", key, err)
	}
	return objects, nil
}

// ours turns a missing work object into what it is: a bug.
func ours(err error) error {
	if fault.Of(err) == fault.NotFound {
		return fault.New(fault.Bug, "%w", err)
	}
	return err
}

// put writes the ledger last: it says that the rest is there.
func (q *Quarantiner) put(ctx context.Context, key string, aside *batch.Quarantine, ledgerKey string, ledger any) error {
	if _, err := q.Store.Put(ctx, q.QuarantineBucket, key, aside.Bytes(), nil); err != nil {
		return err
	}
	raw, err := json.Marshal(ledger)
	if err != nil {
		return fmt.Errorf("encode ledger: %w", err)
	}
	_, err = q.Store.Put(ctx, q.WorkBucket, ledgerKey, raw, nil)
	return err
}
