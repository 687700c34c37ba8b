package main

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"stepsiem/shared/batch"
	"stepsiem/shared/blob"
	"stepsiem/shared/fault"
	"stepsiem/shared/metric"
)

// Config is Account's environment.
type Config struct {
	WorkBucket string `env:"WORK_BUCKET"`
	StackName  string `env:"STACK_NAME"`
}

// Accountant adds up what the other tasks left in the ledger.
type Accountant struct {
	Config
	Store   blob.Store
	Metrics metric.Writer
}

// Input is the plan with its groups done, by name, or with the runs of its parts.
type Input struct {
	batch.Plan
	Groups []string `json:"groups"`
	Runs   []string `json:"runs"`
}

// detail is the per-object ledger kept in the work bucket.
type detail struct {
	batch.Account
	Rows []batch.Row `json:"rows"`
}

const maxLedger = 256 << 20

// Handle is the Account task. Its output is small and readable in the console; every object's row lies under Detail.
func (a *Accountant) Handle(ctx context.Context, in Input) (batch.Account, error) {
	var d detail
	var err error
	if in.Large {
		d, err = a.parts(ctx, &in)
	} else {
		d, err = a.groups(ctx, &in)
	}
	if fault.Of(err) == fault.Bug {
		a.Metrics.Put(map[metric.Name]int64{metric.LedgerUnbalanced: 1})
	}
	if err != nil {
		return batch.Account{}, err
	}
	if !in.Large { // its parts have counted theirs
		a.Metrics.Put(map[metric.Name]int64{
			metric.Objects: d.Total.Objects, metric.RecordsRead: d.Total.Read, metric.RecordsIndexed: d.Total.Indexed, metric.RecordsDuplicate: d.Total.Duplicate,
			metric.RecordsQuarantined: d.Total.Quarantined, metric.RecordsFiltered: d.Total.Filtered, metric.LedgerUnbalanced: 0,
		})
	}
	return d.Account, blob.PutJSON(ctx, a.Store, a.WorkBucket, d.Detail, d)
}

func (a *Accountant) groups(ctx context.Context, in *Input) (detail, error) {
	slices.Sort(in.Groups)
	parsed := make([]batch.ParseLedger, len(in.Groups))
	err := parallel(ctx, len(in.Groups), func(ctx context.Context, i int) error {
		return a.read(ctx, batch.LedgerKey(in.Run, in.Groups[i]), &parsed[i])
	})
	if err != nil {
		return detail{}, err
	}
	var chunks []string
	for _, p := range parsed {
		for _, c := range p.Chunks {
			chunks = append(chunks, c.Chunk)
		}
	}
	var mu sync.Mutex
	indexed := map[string]batch.IndexLedger{}
	err = parallel(ctx, len(chunks), func(ctx context.Context, i int) error {
		var l batch.IndexLedger
		if err := a.read(ctx, batch.LedgerKey(in.Run, chunks[i]), &l); err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		indexed[chunks[i]] = l
		return nil
	})
	if err != nil {
		return detail{}, err
	}
	rows, notes, err := batch.Fold(parsed, indexed)
	if err != nil {
		return detail{}, err
	}
	if len(rows) != in.Objects {
		return detail{}, fault.New(fault.Bug, "fold ledger: %d objects planned, %d accounted for", in.Objects, len(rows))
	}
	return detail{batch.Sum(&in.Plan, rows, notes), rows}, nil
}

// parts adds up the accounts of a large plan's executions; their rows stay with them.
func (a *Accountant) parts(ctx context.Context, in *Input) (detail, error) {
	accounts := make([]detail, len(in.Runs))
	err := parallel(ctx, len(in.Runs), func(ctx context.Context, i int) error {
		return a.read(ctx, batch.AccountKey(in.Runs[i]), &accounts[i])
	})
	if err != nil {
		return detail{}, err
	}
	sum := batch.Sum(&in.Plan, nil, nil)
	notes := map[string]bool{}
	for _, p := range accounts {
		sum.Total.Add(p.Total)
		for t, c := range p.Types {
			c.Add(sum.Types[t])
			sum.Types[t] = c
		}
		for _, n := range p.Notes {
			notes[n] = true
		}
		sum.Failed = append(sum.Failed, p.Failed[:min(len(p.Failed), batch.MaxFailed-len(sum.Failed))]...)
	}
	sum.Notes = slices.Sorted(maps.Keys(notes))
	if sum.Total.Objects != int64(in.Objects) {
		return detail{}, fault.New(fault.Bug, "fold ledger: %d objects planned, %d accounted for", in.Objects, sum.Total.Objects)
	}
	return detail{Account: sum}, nil
}

// read decodes one of our own work objects; without it the ledger can't be closed.
func (a *Accountant) read(ctx context.Context, key string, v any) error {
	raw, err := blob.Read(ctx, a.Store, a.WorkBucket, key, maxLedger)
	if fault.Of(err) == fault.NotFound {
		return fault.New(fault.Bug, "fold ledger: %w", err)
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return fault.New(fault.Bug, "decode %s: %w", key, err)
	}
	return nil
}

func parallel(ctx context.Context, n int, f func(context.Context, int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(16)
	for i := range n {
		g.Go(func() error { return f(ctx, i) })
	}
	return g.Wait()
}
