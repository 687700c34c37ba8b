package main

import (
	"bytes"
	"context"
	"time"

	"stepsiem/shared/batch"
	"stepsiem/shared/blob"
	"stepsiem/shared/indicator"
	"stepsiem/shared/join"
)

// Config is ThreatMatch's environment.
type Config struct {
	WorkBucket string `env:"WORK_BUCKET"`
	DataBucket string `env:"DATA_BUCKET"`
}

// Matcher answers which addresses are indicators.
type Matcher struct {
	Config
	Store blob.Store
	Sets  *indicator.Store
	Now   func() time.Time
}

// Handle is the ThreatMatch task: the chunk's addresses that are indicators, and the version of the set that says so.
func (m *Matcher) Handle(ctx context.Context, in batch.Chunk) (batch.Fact, error) {
	out := batch.Fact{Key: batch.ThreatKey(in.Run, in.Chunk)}
	set, note, err := m.Sets.Current(ctx, m.Now())
	if err != nil {
		return out, err
	}
	out.Note = note
	var matches map[int32]*indicator.Match
	if set != nil {
		out.Version = set.Version()
		addresses, err := join.Addresses(ctx, m.Store, m.WorkBucket, &in)
		if err != nil {
			return out, err
		}
		matches = join.Match(set, addresses)
	}
	out.Found = len(matches)
	var buf bytes.Buffer
	if err := join.WriteThreat(&buf, matches); err != nil {
		return out, err
	}
	_, err = m.Store.Put(ctx, m.WorkBucket, out.Key, buf.Bytes(), nil)
	return out, err
}
