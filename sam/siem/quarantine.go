package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"stepsiem/shared/batch"
)

// aside is what was set aside of one batch.
type aside struct {
	Batch   string         `json:"batch"`
	Records int64          `json:"records"`
	Kinds   map[string]int `json:"kinds"`
	Types   map[string]int `json:"types"`
	Reason  string         `json:"reason"` // of the first entry
	Time    time.Time      `json:"time,omitzero"`
}

// filter says which entries are looked at.
type filter struct{ kind, typ, reason, batch string }

func (f *filter) matches(q *batch.Entry) bool {
	return (f.kind == "" || strings.EqualFold(strings.TrimPrefix(q.Kind, "Siem."), strings.TrimPrefix(f.kind, "Siem."))) &&
		(f.typ == "" || q.Type == f.typ) && strings.Contains(q.Reason, f.reason)
}

// filterFlags declares the flags that list and show have in common.
func filterFlags(c *call) *filter {
	f := new(filter)
	c.flags.StringVar(&f.kind, "kind", "", "of this `KIND` only, as BadInput")
	c.flags.StringVar(&f.typ, "type", "", "of this log `TYPE` only")
	c.flags.StringVar(&f.reason, "reason", "", "with this `TEXT` in the reason")
	return f
}

// entries walks what was set aside, batch by batch; name is what batch.QuarantineKey calls the batch.
func (e *environment) entries(ctx context.Context, prefix string, f *filter, visit func(name string, q *batch.Entry)) error {
	for info, err := range e.store.List(ctx, e.QuarantineBucket, prefix) {
		if err != nil {
			return err
		}
		name, _, ok := strings.Cut(info.Key, "/")
		if !ok || f.batch != "" && name != f.batch {
			continue
		}
		body, _, err := e.store.Get(ctx, info.Bucket, info.Key, "")
		if err != nil {
			return err
		}
		for q, err := range batch.ReadQuarantine(body) {
			if err != nil {
				body.Close()
				return fmt.Errorf("read s3://%s/%s: %w", info.Bucket, info.Key, err)
			}
			if f.matches(&q) {
				visit(name, &q)
			}
		}
		body.Close()
	}
	return nil
}

func cmdQuarantineList(ctx context.Context, c *call, args []string) error {
	f := filterFlags(c)
	c.flags.StringVar(&f.batch, "batch", "", "of this `BATCH` only")
	if _, err := c.parse(args, 0, 0); err != nil {
		return err
	}
	e, err := c.open(ctx)
	if err != nil {
		return err
	}
	list := []*aside{}
	err = e.entries(ctx, f.batch, f, func(name string, q *batch.Entry) {
		if len(list) == 0 || list[len(list)-1].Batch != name {
			list = append(list, &aside{Batch: name, Kinds: map[string]int{}, Types: map[string]int{}, Reason: q.Reason})
		}
		a := list[len(list)-1]
		a.Records += q.Count
		a.Kinds[q.Kind] += int(q.Count)
		a.Types[cmp.Or(q.Type, "unknown")] += int(q.Count)
		if q.Time.After(a.Time) {
			a.Time = q.Time
		}
	})
	if err != nil {
		return err
	}
	return c.print(map[string]any{"batches": list}, func(w io.Writer) {
		var rows [][]string
		for _, a := range list {
			rows = append(rows, []string{a.Batch, strconv.FormatInt(a.Records, 10), tally(a.Kinds), tally(a.Types), a.Reason})
		}
		table(w, []string{"BATCH", "RECORDS", "KINDS", "TYPES", "FIRST REASON"}, rows)
	})
}

func tally(counts map[string]int) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", name, counts[name]))
	}
	return strings.Join(parts, ", ")
}

// maxRaw is how much of a record is shown.
const maxRaw = 200

func cmdQuarantineShow(ctx context.Context, c *call, args []string) error {
	f := filterFlags(c)
	limit := c.flags.Int("limit", 100, "show at most `N` entries; 0 shows all")
	names, err := c.parse(args, 1, 1)
	if err != nil {
		return err
	}
	f.batch = names[0]
	e, err := c.open(ctx)
	if err != nil {
		return err
	}
	list, more := []batch.Entry{}, 0
	err = e.entries(ctx, f.batch+"/", f, func(_ string, q *batch.Entry) {
		if *limit > 0 && len(list) >= *limit {
			more++
			return
		}
		list = append(list, *q)
	})
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return fmt.Errorf("nothing was set aside of %q: siem quarantine list shows the batches", f.batch)
	}
	return c.print(map[string]any{"batch": f.batch, "entries": list, "more": more}, func(w io.Writer) {
		for _, q := range list {
			fmt.Fprintf(w, "%s  %s\n  s3://%s  version %s  offset %d  length %d", printable(q.Kind, maxCell), printable(q.Reason, 2*maxCell),
				printable(q.Bucket+"/"+q.Key, 2*maxCell), printable(q.Version, maxCell), q.Offset, q.Length)
			if q.Count > 1 {
				fmt.Fprintf(w, "  and %d more", q.Count-1)
			}
			fmt.Fprintf(w, "\n  %s\n", printable(string(q.Raw), maxRaw))
		}
		if more > 0 {
			fmt.Fprintf(w, "and %d more entries: --limit 0\n", more)
		}
		fmt.Fprintf(w, "\nafter the fix: siem quarantine replay %s\n", f.batch)
	})
}

func cmdQuarantineReplay(ctx context.Context, c *call, args []string) error {
	all := c.flags.Bool("all", false, "every batch of which something was set aside")
	names, err := c.parse(args, 0, -1)
	if err != nil {
		return err
	}
	if *all == (len(names) > 0) {
		return usagef("expects names of batches, or --all")
	}
	e, err := c.open(ctx)
	if err != nil {
		return err
	}
	objects := map[string]map[version]bool{} // by batch: of which something was set aside
	err = e.entries(ctx, "", new(filter), func(name string, q *batch.Entry) {
		if objects[name] == nil {
			objects[name] = map[version]bool{}
		}
		objects[name][version{q.Bucket, q.Key, q.Version}] = true
	})
	if err != nil {
		return err
	}
	if *all {
		names = slices.Sorted(maps.Keys(objects))
	}
	past, err := e.list(ctx, ingestMachine, "", time.Time{})
	if err != nil {
		return err
	}
	started := []*execution{}
	for _, name := range names {
		if len(objects[name]) == 0 {
			return fmt.Errorf("nothing was set aside of %q: siem quarantine list shows the batches", name)
		}
		x, err := e.replay(ctx, name, past, objects[name])
		if err != nil {
			return err
		}
		started = append(started, x)
	}
	bar := newProgress(c.err)
	defer bar.end()
	if err := e.await(ctx, started, bar); err != nil {
		return err
	}
	r, err := e.account(ctx, started, nil)
	if err != nil {
		return err
	}
	return errors.Join(c.print(r, r.text), r.failed())
}

// replay starts a batch once more: with the input it had, or with the objects of which something was set aside when no
// execution remembers it.
func (e *environment) replay(ctx context.Context, name string, past []*execution, objects map[version]bool) (*execution, error) {
	for _, x := range past {
		if batchOf(x.Name) == name {
			if err := e.describe(ctx, x); err != nil {
				return nil, err
			}
			return e.start(ctx, ingestMachine, x.Name, "replay", x.input)
		}
	}
	var req batch.Request
	for v := range objects {
		req.Objects = append(req.Objects, batch.Object{Bucket: v.bucket, Key: v.key, Version: v.id})
	}
	id, sorted := batch.ID(req.Objects)
	req.Objects = sorted
	input, err := json.Marshal(req)
	if err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	return e.start(ctx, ingestMachine, batch.Name(id, sorted, ""), "replay", string(input))
}

// batchOf is the batch that an execution's name was made of: type-time-hash without the time.
func batchOf(name string) string {
	parts := strings.Split(baseName(name), "-")
	if len(parts) != 3 {
		return ""
	}
	return parts[0] + "-" + parts[2]
}
