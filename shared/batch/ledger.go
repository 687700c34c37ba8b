package batch

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"stepsiem/shared/fault"
)

// Counts are the ledger's columns. Once an execution has ended, read = indexed + duplicate + quarantined + filtered.
type Counts struct {
	Objects     int64 `json:"objects"`
	Read        int64 `json:"read"`
	Indexed     int64 `json:"indexed"`
	Duplicate   int64 `json:"duplicate"`
	Quarantined int64 `json:"quarantined"`
	Filtered    int64 `json:"filtered"`
	Bytes       int64 `json:"bytes"` // inflated
}

// Add adds b to c.
func (c *Counts) Add(b Counts) {
	c.Objects += b.Objects
	c.Read += b.Read
	c.Indexed += b.Indexed
	c.Duplicate += b.Duplicate
	c.Quarantined += b.Quarantined
	c.Filtered += b.Filtered
	c.Bytes += b.Bytes
}

// Closed reports whether every record read is accounted for.
func (c *Counts) Closed() bool {
	return c.Read == c.Indexed+c.Duplicate+c.Quarantined+c.Filtered
}

// ParseLedger is what Parse (or Quarantine, for a group that can't be parsed) leaves of a group.
type ParseLedger struct {
	Group   string        `json:"group"`
	Objects []ObjectTally `json:"objects"`
	Chunks  []ChunkTally  `json:"chunks"`
	Notes   []string      `json:"notes,omitempty"`
}

// ObjectTally is one object: read = documents + quarantined + the sum of filtered.
type ObjectTally struct {
	Object
	LogType     string           `json:"log_type"`
	Read        int64            `json:"read"`
	Documents   int64            `json:"documents"`
	Quarantined int64            `json:"quarantined"`
	Filtered    map[string]int64 `json:"filtered,omitempty"`
	Inflated    int64            `json:"inflated"`
	Failed      string           `json:"failed,omitempty"`
}

// ChunkTally says how many of a chunk's documents come from each object (by its number in the group).
type ChunkTally struct {
	Chunk     string        `json:"chunk"`
	Documents map[int]int64 `json:"documents"`
}

// IndexLedger is what Index (or Quarantine, for a chunk that can't be indexed) leaves of a chunk.
type IndexLedger struct {
	Chunk   string              `json:"chunk"`
	Objects map[int]IndexCounts `json:"objects"` // by the object's number in its group
	Notes   []string            `json:"notes,omitempty"`
}

// IndexCounts is what became of documents.
type IndexCounts struct {
	Indexed     int64 `json:"indexed"`
	Duplicate   int64 `json:"duplicate"`
	Quarantined int64 `json:"quarantined"`
}

// Account is the closed ledger of an execution, readable in the console.
type Account struct {
	Batch   string            `json:"batch"`
	Run     string            `json:"run"`
	Total   Counts            `json:"total"`
	Types   map[string]Counts `json:"types"`
	Dropped map[string]int    `json:"dropped,omitempty"`
	Failed  []Failed          `json:"failed,omitempty"` // objects that could not be read whole; the first hundred
	Notes   []string          `json:"notes,omitempty"`  // what was missing on the way: no geo database, no indicators
	Detail  string            `json:"detail"`           // key of the per-object ledger in the work bucket
}

// Failed is an object that could not be read whole, and why.
type Failed struct {
	Object string `json:"object"`
	Reason string `json:"reason"`
}

// Row is one object's line in the ledger.
type Row struct {
	Object string `json:"object"`
	Type   string `json:"type"`
	Counts
	Version string `json:"version,omitempty"`
	Failed  string `json:"failed,omitempty"`
}

// MaxFailed bounds how many failed objects an execution's output names; the detail names all.
const MaxFailed = 100

// Fold adds a run's ledgers up. A row that does not close is a Siem.Bug that names it: nothing may get lost on the way.
func Fold(parsed []ParseLedger, indexed map[string]IndexLedger) (rows []Row, notes []string, err error) {
	seen := map[string]bool{}
	note := func(list []string) {
		for _, n := range list {
			seen[n] = true
		}
	}
	for _, p := range parsed {
		note(p.Notes)
		first := len(rows)
		for _, o := range p.Objects {
			r := Row{Object: o.Path(), Version: o.Version, Type: o.LogType, Failed: o.Failed,
				Counts: Counts{Objects: 1, Read: o.Read, Quarantined: o.Quarantined, Bytes: o.Inflated}}
			for _, n := range o.Filtered {
				r.Filtered += n
			}
			rows = append(rows, r)
		}
		for _, c := range p.Chunks {
			ix, ok := indexed[c.Chunk]
			if !ok {
				return nil, nil, fault.New(fault.Bug, "fold ledger: chunk %s has none", c.Chunk)
			}
			note(ix.Notes)
			for object, got := range ix.Objects {
				if c.Documents[object] == 0 && got != (IndexCounts{}) {
					return nil, nil, fault.New(fault.Bug, "fold ledger: chunk %s, object %d: no documents written, %+v accounted for", c.Chunk, object, got)
				}
			}
			for object, n := range c.Documents {
				got := ix.Objects[object]
				if sum := got.Indexed + got.Duplicate + got.Quarantined; sum != n || object >= len(p.Objects) {
					return nil, nil, fault.New(fault.Bug, "fold ledger: chunk %s, object %d: %d documents written, %d accounted for", c.Chunk, object, n, sum)
				}
				r := &rows[first+object]
				r.Indexed += got.Indexed
				r.Duplicate += got.Duplicate
				r.Quarantined += got.Quarantined
			}
		}
	}
	for i := range rows {
		if r := &rows[i]; !r.Closed() {
			return nil, nil, fault.New(fault.Bug, "fold ledger: %s does not close: read %d, indexed %d, duplicate %d, quarantined %d, filtered %d",
				r.Object, r.Read, r.Indexed, r.Duplicate, r.Quarantined, r.Filtered)
		}
	}
	return rows, slices.Sorted(maps.Keys(seen)), nil
}

// Sum makes the account of rows.
func Sum(plan *Plan, rows []Row, notes []string) Account {
	a := Account{Batch: plan.Batch, Run: plan.Run, Types: map[string]Counts{}, Dropped: plan.Dropped, Notes: notes, Detail: AccountKey(plan.Run)}
	for _, r := range rows {
		a.Total.Add(r.Counts)
		c := a.Types[cmp.Or(r.Type, "unknown")]
		c.Add(r.Counts)
		a.Types[cmp.Or(r.Type, "unknown")] = c
		if r.Failed != "" && len(a.Failed) < MaxFailed {
			a.Failed = append(a.Failed, Failed{r.Object, fmt.Sprintf("%.300s", r.Failed)})
		}
	}
	return a
}
