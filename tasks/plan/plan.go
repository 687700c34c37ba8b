package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"stepsiem/shared/batch"
	"stepsiem/shared/blob"
	"stepsiem/shared/fault"
	"stepsiem/shared/format"
)

// Config is Plan's environment.
type Config struct {
	WorkBucket   string `env:"WORK_BUCKET"`
	GroupBytes   int64  `env:"GROUP_BYTES"`   // stored bytes that one Parse reads
	GroupObjects int    `env:"GROUP_OBJECTS"` // objects that one Parse reads
	MaxGroups    int    `env:"MAX_GROUPS"`    // of one execution; a larger plan becomes parts
}

// Limits keep an execution far below 25,000 events of history and 256 KiB of state: a chunk costs about 21 events.
const (
	MaxChunks  = 300
	MaxParts   = 2000
	MaxRequest = 64 << 20 // bytes of a request that comes through S3
)

// Planner splits a request into groups, or into parts when it is larger than one execution.
type Planner struct {
	Config
	Store blob.Store
}

// Input is an execution's own input and name.
type Input struct {
	Request   batch.Request `json:"request"`
	Execution string        `json:"execution"`
}

// Handle is the Plan task.
func (p *Planner) Handle(ctx context.Context, in Input) (batch.Plan, error) {
	req := in.Request
	if req.Input != nil {
		raw, err := blob.Read(ctx, p.Store, req.Input.Bucket, req.Input.Key, MaxRequest)
		if err != nil {
			return batch.Plan{}, fmt.Errorf("read request: %w", err)
		}
		req = batch.Request{}
		if err := json.Unmarshal(raw, &req); err != nil {
			return batch.Plan{}, fault.New(fault.BadInput, "decode request: %w", err)
		}
	}
	objects, err := p.objects(ctx, req)
	if err != nil {
		return batch.Plan{}, err
	}
	plan := batch.Plan{Dropped: map[string]int{}}
	objects, err = p.known(ctx, objects)
	if err != nil {
		return batch.Plan{}, err
	}
	for i := range objects {
		objects[i].Type = cmp.Or(req.Type, objects[i].Type)
	}
	plan.Batch, objects = batch.ID(objects)
	objects = drop(objects, plan.Dropped)
	plan.Type = plan.Batch[:len(plan.Batch)-17]
	plan.Run = batch.RunKey(plan.Batch, in.Execution)
	plan.Objects = len(objects)
	for i := range objects {
		plan.Bytes += objects[i].Size
	}
	groups := p.split(objects)
	if len(groups) > p.MaxGroups {
		return p.parts(ctx, plan, groups)
	}
	replay := strings.Contains(in.Execution, "-rerun") || strings.Contains(in.Execution, "-replay")
	for i, g := range groups {
		out := batch.Group{Batch: plan.Batch, Run: plan.Run, Group: fmt.Sprintf("%04d", i+1), Objects: len(g), Chunks: MaxChunks / len(groups), Replay: replay}
		for i := range g {
			out.Bytes += g[i].Size
		}
		if err := blob.PutJSON(ctx, p.Store, p.WorkBucket, batch.GroupKey(out.Run, out.Group), g); err != nil {
			return batch.Plan{}, err
		}
		plan.Groups = append(plan.Groups, out)
	}
	if plan.Groups == nil {
		plan.Groups = []batch.Group{}
	}
	return plan, nil
}

// objects lists what a request asks for.
func (p *Planner) objects(ctx context.Context, req batch.Request) ([]batch.Object, error) {
	if len(req.Objects) > 0 {
		for i := range req.Objects {
			if o := &req.Objects[i]; o.Bucket == "" || o.Key == "" {
				return nil, fault.New(fault.BadInput, "objects[%d]: bucket and key are both needed", i)
			}
		}
		return slices.Clone(req.Objects), nil
	}
	if req.Bucket == "" {
		return nil, fault.New(fault.BadInput, `nothing to ingest: give {"objects":[{"bucket","key"}]} or {"bucket","prefix","from","to"}`)
	}
	from, err := date("from", req.From)
	if err != nil {
		return nil, err
	}
	to, err := date("to", req.To)
	if err != nil {
		return nil, err
	}
	var objects []batch.Object
	for info, err := range p.Store.List(ctx, req.Bucket, req.Prefix) {
		if err != nil {
			return nil, err
		}
		at, ok := format.TimeOfKey(info.Key)
		if !ok {
			at = info.Time
		}
		if at.Before(from) || !to.IsZero() && !at.Before(to) {
			continue
		}
		objects = append(objects, batch.Object{Bucket: info.Bucket, Key: info.Key, ETag: info.ETag, Size: info.Size, Time: info.Time})
	}
	return objects, nil
}

func date(name, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fault.New(fault.BadInput, "%s: %q is neither a date (2026-01-31) nor a time (2026-01-31T12:00:00Z)", name, text)
}

// known asks the store for the version and size of objects that were typed by hand. What is not there stays as it is:
// Parse sets it aside with the reason.
func (p *Planner) known(ctx context.Context, objects []batch.Object) ([]batch.Object, error) {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(16)
	for i := range objects {
		o := &objects[i]
		if o.Size > 0 || o.ETag != "" || strings.HasSuffix(o.Key, "/") {
			continue
		}
		g.Go(func() error {
			body, info, err := p.Store.Get(ctx, o.Bucket, o.Key, o.Version)
			switch fault.Of(err) {
			case "":
				o.Version, o.ETag, o.Size, o.Time, o.Type = info.Version, info.ETag, info.Size, info.Time, cmp.Or(o.Type, info.Type)
				return body.Close()
			case fault.NotFound, fault.BadInput:
				o.Size = -1
				return nil
			}
			return err
		})
	}
	return objects, g.Wait()
}

// drop takes out what holds no records, with a count.
func drop(objects []batch.Object, dropped map[string]int) []batch.Object {
	kept := objects[:0]
	for _, o := range objects {
		switch {
		case strings.HasSuffix(o.Key, "/"):
			dropped["folder"]++
		case o.Size == 0:
			dropped["empty"]++
		default:
			o.Size = max(o.Size, 0)
			kept = append(kept, o)
		}
	}
	return kept
}

// split makes groups of neighbouring objects by size and number.
func (p *Planner) split(objects []batch.Object) (groups [][]batch.Object) {
	first, size := 0, int64(0)
	for i := range objects {
		if i > first && (size+objects[i].Size > p.GroupBytes || i-first >= p.GroupObjects) {
			groups = append(groups, objects[first:i])
			first, size = i, 0
		}
		size += objects[i].Size
	}
	if first < len(objects) {
		groups = append(groups, objects[first:])
	}
	return groups
}

// part is one item of a large plan.
type part struct {
	Input batch.Pointer `json:"input"`
}

// parts leaves a plan larger than one execution as many requests, which a Distributed Map reads.
func (p *Planner) parts(ctx context.Context, plan batch.Plan, groups [][]batch.Object) (batch.Plan, error) {
	var list []part
	for first := 0; first < len(groups); first += p.MaxGroups {
		var req batch.Request
		for _, g := range groups[first:min(first+p.MaxGroups, len(groups))] {
			req.Objects = append(req.Objects, g...)
		}
		key := fmt.Sprintf("%s/parts/%04d.json", plan.Run, len(list)+1)
		if err := blob.PutJSON(ctx, p.Store, p.WorkBucket, key, req); err != nil {
			return batch.Plan{}, err
		}
		list = append(list, part{batch.Pointer{Bucket: p.WorkBucket, Key: key}})
	}
	if len(list) > MaxParts {
		return batch.Plan{}, fault.New(fault.BadInput, "plan of %d parts is over the limit of %d: narrow it with prefix, from and to", len(list), MaxParts)
	}
	plan.Parts = &batch.Pointer{Bucket: p.WorkBucket, Key: plan.Run + "/parts.json"}
	plan.Large, plan.Groups = true, []batch.Group{}
	return plan, blob.PutJSON(ctx, p.Store, p.WorkBucket, plan.Parts.Key, list)
}
