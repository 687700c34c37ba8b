package geo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"sync"
	"time"

	"stepsiem/shared/fault"
)

// PointerKey is the object that names the databases in use; it holds a Pointer.
const PointerKey = "geo/current.json"

// Pointer names a set of databases. Replacing it swaps them without a redeploy.
type Pointer struct {
	Databases []Object `json:"databases"` // later ones add what earlier ones lack
	AWSRanges *Object  `json:"aws_ranges,omitempty"`
}

// Object is one file: its key beside the pointer's, and the SHA-256 of its bytes in hex.
type Object struct {
	Key    string `json:"key"`
	SHA256 string `json:"sha256"`
}

// Fetcher reads objects. When the object's ETag is still etag it answers no data and etag again. A missing object is
// fault.NotFound.
type Fetcher interface {
	Fetch(ctx context.Context, key, etag string) (data []byte, newETag string, err error)
}

// Store keeps the databases that the pointer names in memory and follows it. It is safe for concurrent use.
type Store struct {
	from  Fetcher
	every time.Duration

	mu        sync.Mutex
	checked   time.Time
	etag      string
	note      string
	db        *DB // nil before the first load
	databases map[Object]*Database
}

// NewStore reads from from and looks for a new pointer when the last look is at least every ago.
func NewStore(from Fetcher, every time.Duration) *Store { return &Store{from: from, every: every} }

// Current is the database of now, and a note for the task's result when something is wrong: no pointer, or a new set
// that can't be used, in which case the old one, or an empty one, stays. An error means that the first set could not be
// read for a reason that passes or is no fault of the set.
func (s *Store) Current(ctx context.Context, now time.Time) (db *DB, note string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db != nil && now.Sub(s.checked) < s.every {
		return s.db, s.note, nil
	}
	err = s.follow(ctx)
	kind := fault.Of(err)
	switch {
	case err == nil:
		s.note = ""
	case s.db != nil && !s.db.Empty():
		s.note = "old geo database kept: " + err.Error()
	case kind == fault.NotFound, kind == fault.BadInput:
		s.db, s.note = New(nil, nil), "no geo database: "+err.Error()
	default:
		return nil, "", err
	}
	s.checked = now
	return s.db, s.note, nil
}

// follow loads the set that the pointer names, unless the pointer is still the one that was loaded last.
func (s *Store) follow(ctx context.Context) error {
	data, etag, err := s.from.Fetch(ctx, PointerKey, s.etag)
	if err != nil {
		return fault.New(fault.Of(err), "fetch %s: %w", PointerKey, err)
	}
	if s.etag != "" && etag == s.etag {
		return nil
	}
	var p Pointer
	if err := json.Unmarshal(data, &p); err != nil {
		return fault.New(fault.BadInput, "decode %s: %w", PointerKey, err)
	}
	var list []*Database
	databases := map[Object]*Database{}
	for _, o := range p.Databases {
		d := s.databases[o]
		if d == nil {
			if d, err = load(ctx, s.from, o, Open); err != nil {
				return err
			}
		}
		databases[o], list = d, append(list, d)
	}
	var ranges *Ranges
	if p.AWSRanges != nil {
		if ranges, err = load(ctx, s.from, *p.AWSRanges, OpenRanges); err != nil {
			return err
		}
	}
	s.db, s.databases, s.etag = New(list, ranges), databases, etag
	return nil
}

// load fetches o, compares its checksum and opens it.
func load[T any](ctx context.Context, from Fetcher, o Object, open func(name string, data []byte) (T, error)) (out T, err error) {
	data, _, err := from.Fetch(ctx, o.Key, "")
	if err != nil {
		return out, fault.New(fault.Of(err), "fetch %s: %w", o.Key, err)
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != o.SHA256 {
		return out, fault.New(fault.BadInput, "%s: SHA-256 is %x, not %s as %s says", o.Key, sum, o.SHA256, PointerKey)
	}
	return open(o.Key, data)
}
