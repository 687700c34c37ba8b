package eni

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"stepsiem/shared/blob"
	"stepsiem/shared/fault"
)

// Store keeps all snapshots of a bucket in memory. It is safe for concurrent use.
type Store struct {
	from   blob.Store
	bucket string
	every  time.Duration

	mu        sync.Mutex
	checked   time.Time
	snapshots map[string]loaded // by key
	known     atomic.Pointer[map[string]Interface]
	missed    atomic.Bool // Lookup found nothing
}

type loaded struct {
	etag string
	Snapshot
}

// NewStore returns a Store that knows nothing yet, and looks for new snapshots when the last look is at least every ago.
func NewStore(from blob.Store, bucket string, every time.Duration) *Store {
	return &Store{from: from, bucket: bucket, every: every, snapshots: map[string]loaded{}}
}

// Lookup finds an interface by its id. It never blocks.
func (s *Store) Lookup(id string) (i Interface, ok bool) {
	if known := s.known.Load(); known != nil {
		i, ok = (*known)[id]
	}
	if !ok {
		s.missed.Store(true)
	}
	return i, ok
}

// Wanted reports whether Lookup was in vain since the last call and every snapshot is old: a new one may say more.
func (s *Store) Wanted(now time.Time) bool {
	if !s.missed.Swap(false) {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.snapshots {
		if now.Sub(l.Taken) < s.every {
			return false
		}
	}
	return true
}

// Refresh reads the snapshots that are new. What can't be read is a note each for the task's result, never an error: what
// was known before stays known.
func (s *Store) Refresh(ctx context.Context, now time.Time) (notes []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.checked.IsZero() && now.Sub(s.checked) < s.every {
		return nil
	}
	changed := false
	for info, err := range s.from.List(ctx, s.bucket, Prefix) {
		if err != nil {
			notes = append(notes, fmt.Sprintf("list interface snapshots: %v", err))
			break
		}
		if was, ok := s.snapshots[info.Key]; ok && was.etag == info.ETag {
			continue
		}
		snapshot, err := Read(ctx, s.from, s.bucket, info.Key)
		if err != nil {
			notes = append(notes, err.Error())
			continue
		}
		s.snapshots[info.Key], changed = loaded{info.ETag, snapshot}, true
	}
	if changed {
		s.publish()
	}
	if notes == nil {
		s.checked = now
	}
	return notes
}

// publish makes one table of all snapshots; of an interface that several know, the one that was seen last counts.
func (s *Store) publish() {
	known := map[string]Interface{}
	for _, l := range s.snapshots {
		for id, i := range l.Interfaces {
			if other, ok := known[id]; !ok || other.Seen.Before(i.Seen) {
				known[id] = i
			}
		}
	}
	s.known.Store(&known)
}

// Read reads one snapshot. A missing one is fault.NotFound, one that does not decode fault.BadInput.
func Read(ctx context.Context, from blob.Store, bucket, key string) (s Snapshot, err error) {
	raw, err := blob.Read(ctx, from, bucket, key, MaxSnapshot)
	if err != nil {
		return s, fmt.Errorf("read interface snapshot: %w", err)
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		return Snapshot{}, fault.New(fault.BadInput, "decode interface snapshot s3://%s/%s: %w", bucket, key, err)
	}
	return s, nil
}
