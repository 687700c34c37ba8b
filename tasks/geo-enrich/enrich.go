package main

import (
	"bytes"
	"context"
	"net/netip"
	"slices"
	"time"

	"stepsiem/shared/batch"
	"stepsiem/shared/blob"
	"stepsiem/shared/geo"
	"stepsiem/shared/join"
)

// Config is GeoEnrich's environment.
type Config struct {
	WorkBucket string `env:"WORK_BUCKET"`
	DataBucket string `env:"DATA_BUCKET"`
}

// Age is how long a warm function trusts the databases it has before it looks for new ones.
const Age = 5 * time.Minute

// Enricher answers where addresses are.
type Enricher struct {
	Config
	Store     blob.Store
	Databases *geo.Store
	Now       func() time.Time
}

// Handle is the GeoEnrich task: one answer for each of the chunk's addresses, in their order.
func (e *Enricher) Handle(ctx context.Context, in batch.Chunk) (batch.Fact, error) {
	out := batch.Fact{Key: batch.GeoKey(in.Run, in.Chunk)}
	db, note, err := e.Databases.Current(ctx, e.Now())
	if err != nil {
		return out, err
	}
	out.Note = note
	addresses, err := join.Addresses(ctx, e.Store, e.WorkBucket, &in)
	if err != nil {
		return out, err
	}
	answers := answer(db, addresses)
	var buf bytes.Buffer
	err = join.WriteGeo(&buf, len(answers), func(dst []byte, i int) []byte {
		if len(answers[i]) > 0 {
			out.Found++
		}
		return append(dst, answers[i]...)
	})
	if err != nil {
		return out, err
	}
	_, err = e.Store.Put(ctx, e.WorkBucket, out.Key, buf.Bytes(), nil)
	return out, err
}

// answer looks addresses up in ascending order: neighbours share most of a database's tree, which halves the time.
func answer(db *geo.DB, addresses []netip.Addr) [][]byte {
	order := make([]int, len(addresses))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return addresses[a].Compare(addresses[b]) })
	answers := make([][]byte, len(addresses))
	var buf []byte
	for _, i := range order {
		start := len(buf)
		buf = db.AppendFields(buf, addresses[i])
		answers[i] = buf[start:len(buf):len(buf)]
	}
	return answers
}
