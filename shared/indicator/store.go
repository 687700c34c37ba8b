package indicator

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"sync"
	"time"

	"stepsiem/shared/fault"
)

// PointerKey is the object that names the set in use; it holds a Pointer.
const PointerKey = "indicators/current.json"

// Pointer names the published set.
type Pointer struct {
	Version string    `json:"version"`
	Key     string    `json:"key"`    // beside the pointer's
	SHA256  string    `json:"sha256"` // of the object, in hex
	Count   int       `json:"count"`  // entries
	Created time.Time `json:"created"`
}

// Putter writes objects whole.
type Putter interface {
	Put(ctx context.Context, key string, data []byte) error
}

// Publish makes a set of entries at now and puts it in use: first the set, which is never changed, then the pointer. When
// it returns, every Store that looks at the pointer sees the set.
func Publish(ctx context.Context, to Putter, entries []Entry, now time.Time) (Pointer, error) {
	data, err := Build(now, entries)
	if err != nil {
		return Pointer{}, err
	}
	s, err := Load(data)
	if err != nil {
		return Pointer{}, fault.New(fault.Bug, "load the set just built: %w", err)
	}
	sum := sha256.Sum256(data)
	p := Pointer{Version: s.Version(), Key: "indicators/sets/" + s.Version() + ".set", SHA256: hex.EncodeToString(sum[:]),
		Count: s.Len(), Created: s.Created()}
	pointer, err := json.Marshal(p)
	if err != nil {
		return p, fault.New(fault.Bug, "encode %s: %w", PointerKey, err)
	}
	if err := to.Put(ctx, p.Key, data); err != nil {
		return p, fault.New(fault.Of(err), "put %s: %w", p.Key, err)
	}
	if err := to.Put(ctx, PointerKey, pointer); err != nil {
		return p, fault.New(fault.Of(err), "put %s: %w", PointerKey, err)
	}
	return p, nil
}

// Fetcher reads objects. When the object's ETag is still etag it answers no data and etag again. A missing object is
// fault.NotFound.
type Fetcher interface {
	Fetch(ctx context.Context, key, etag string) (data []byte, newETag string, err error)
}

// Store keeps the set that the pointer names in memory and follows it. It is safe for concurrent use.
type Store struct {
	from  Fetcher
	every time.Duration

	mu      sync.Mutex
	checked time.Time
	etag    string
	set     *Set
	note    string
}

// NewStore reads from from and looks for a new pointer when the last look is at least every ago; with 0, each time.
func NewStore(from Fetcher, every time.Duration) *Store { return &Store{from: from, every: every} }

// Current is the set in use at now. Without a pointer it is nil, and the note says so for the task's result. A set that is
// named and can't be had is an error, never an older set: documents would slip past a rescan. A named set that is missing
// or corrupt is fault.Bug, as no retry mends it.
func (s *Store) Current(ctx context.Context, now time.Time) (set *Set, note string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.checked.IsZero() && now.Sub(s.checked) < s.every {
		return s.set, s.note, nil
	}
	data, etag, err := s.from.Fetch(ctx, PointerKey, s.etag)
	switch {
	case fault.Of(err) == fault.NotFound:
		s.set, s.etag, s.note = nil, "", "no indicator set: "+err.Error()
	case err != nil:
		return nil, "", fault.New(fault.Of(err), "fetch %s: %w", PointerKey, err)
	case s.etag == "" || etag != s.etag:
		if set, err = s.load(ctx, data); err != nil {
			return nil, "", err
		}
		s.set, s.etag, s.note = set, etag, ""
	}
	s.checked = now
	return s.set, s.note, nil
}

func (s *Store) load(ctx context.Context, pointer []byte) (*Set, error) {
	var p Pointer
	if err := json.Unmarshal(pointer, &p); err != nil {
		return nil, fault.New(fault.Bug, "decode %s: %w", PointerKey, err)
	}
	data, _, err := s.from.Fetch(ctx, p.Key, "")
	if kind := fault.Of(err); kind == fault.NotFound {
		return nil, fault.New(fault.Bug, "fetch %s: %w", p.Key, err)
	} else if err != nil {
		return nil, fault.New(kind, "fetch %s: %w", p.Key, err)
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != p.SHA256 {
		return nil, fault.New(fault.Bug, "%s: SHA-256 is %x, not %s as %s says", p.Key, sum, p.SHA256, PointerKey)
	}
	set, err := Load(data)
	if err != nil {
		return nil, fault.New(fault.Bug, "%s: %w", p.Key, err)
	}
	return set, nil
}
