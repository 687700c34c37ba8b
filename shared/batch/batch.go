// Package batch holds what the ingest tasks hand each other: objects, batches, groups and chunks, and the keys under
// which their work lies. State carries these pointers and counts, never events.
package batch

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"time"

	"stepsiem/shared/format"
)

// Object is a log object to ingest.
type Object struct {
	Bucket  string    `json:"bucket"`
	Key     string    `json:"key"`
	Version string    `json:"version,omitempty"`
	ETag    string    `json:"etag,omitempty"`
	Size    int64     `json:"size,omitempty"` // bytes as stored
	Time    time.Time `json:"time,omitzero"`  // when it was written
	Type    string    `json:"type,omitempty"` // log type when it is known; else it is sniffed
}

// Path is the object's s3:// address.
func (o *Object) Path() string { return "s3://" + o.Bucket + "/" + o.Key }

// Pointer names an object that holds what is too large for an execution's state.
type Pointer struct {
	Bucket string `json:"bucket"`
	Key    string `json:"key"`
}

// Request is the input of an ingest execution: objects, or a prefix with times, or a pointer to either.
type Request struct {
	Objects []Object `json:"objects,omitempty"`

	Bucket string `json:"bucket,omitempty"`
	Prefix string `json:"prefix,omitempty"`
	From   string `json:"from,omitempty"` // RFC 3339 or a date; the time that the key names, else when the object was written
	To     string `json:"to,omitempty"`   // exclusive

	Type  string   `json:"type,omitempty"`  // read all objects as this log type
	Input *Pointer `json:"input,omitempty"` // where a Request too large for the state lies
}

// ID names the batch of objects: type and a hash of the sorted (bucket, key, version or etag). It sorts objects and drops
// repeated ones; the same objects are the same batch whatever their order.
func ID(objects []Object) (id string, distinct []Object) {
	slices.SortFunc(objects, func(a, b Object) int {
		return cmp.Or(cmp.Compare(a.Bucket, b.Bucket), cmp.Compare(a.Key, b.Key), cmp.Compare(a.state(), b.state()))
	})
	objects = slices.CompactFunc(objects, func(a, b Object) bool {
		return a.Bucket == b.Bucket && a.Key == b.Key && a.state() == b.state()
	})
	h := sha256.New()
	typ := ""
	for i := range objects {
		o := &objects[i]
		io.WriteString(h, fmt.Sprintf("%q %q %q\n", o.Bucket, o.Key, o.state()))
		switch t := o.LogType(); {
		case typ == "" || typ == t:
			typ = t
		default:
			typ = format.Mixed
		}
	}
	return cmp.Or(typ, format.Mixed) + "-" + hex.EncodeToString(h.Sum(nil)[:8]), objects
}

func (o *Object) state() string { return cmp.Or(o.Version, o.ETag) }

// LogType is the object's type, else what its key says, else mixed.
func (o *Object) LogType() string {
	return cmp.Or(o.Type, format.TypeOfKey(o.Key), format.Mixed)
}

// Name is the name of a batch's execution: type, earliest time as 20260131T120000Z, hash. run, when not "", is added.
func Name(id string, objects []Object, run string) string {
	var first time.Time
	for i := range objects {
		t := objects[i].Time
		if named, ok := format.TimeOfKey(objects[i].Key); ok {
			t = named
		}
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	at := len(id) - 17 // before "-" and 16 hex digits
	name := id[:at] + first.UTC().Format("-20060102T150405Z") + id[at:]
	if run != "" {
		name += "-" + run
	}
	return name
}

// Plan is Plan's output: what there is to do, split so that state and history stay small.
type Plan struct {
	Batch   string         `json:"batch"`
	Type    string         `json:"type"`
	Run     string         `json:"run"` // prefix of this execution's work in the work bucket
	Objects int            `json:"objects"`
	Bytes   int64          `json:"bytes"`
	Dropped map[string]int `json:"dropped,omitempty"` // folders, empty objects: not read
	Groups  []Group        `json:"groups"`
	Parts   *Pointer       `json:"parts,omitempty"` // a plan larger than one execution: its batches, for a Distributed Map
	Large   bool           `json:"large"`
}

// Group is a run of objects that one Parse reads.
type Group struct {
	Batch   string `json:"batch"`
	Run     string `json:"run"`
	Group   string `json:"group"`
	Objects int    `json:"objects"`
	Bytes   int64  `json:"bytes"`
	Chunks  int    `json:"chunks"` // at most so many chunks
	Replay  bool   `json:"replay"` // documents may be there from an earlier run of this batch
}

// Parsed is Parse's output.
type Parsed struct {
	Group       string  `json:"group"`
	Read        int64   `json:"read"`
	Documents   int64   `json:"documents"`
	Quarantined int64   `json:"quarantined"`
	Filtered    int64   `json:"filtered"`
	Bytes       int64   `json:"bytes"` // inflated
	Chunks      []Chunk `json:"chunks"`
}

// Chunk is a run of documents that one Index writes.
type Chunk struct {
	Batch     string `json:"batch"`
	Run       string `json:"run"`
	Chunk     string `json:"chunk"` // group-number
	Documents int64  `json:"documents"`
	Addresses int    `json:"addresses"` // distinct public ones
	Replay    bool   `json:"replay"`
}

// Fact is what GeoEnrich or ThreatMatch found for a chunk's addresses.
type Fact struct {
	Key     string `json:"key"`               // in the work bucket
	Found   int    `json:"found"`             // addresses with an answer
	Version string `json:"version,omitempty"` // of the indicator set or databases
	Note    string `json:"note,omitempty"`    // why there is less than there could be
}

// Keys of a run's work.
func GroupKey(run, group string) string     { return run + "/groups/" + group + ".json" }
func ChunkKey(run, chunk string) string     { return run + "/chunks/" + chunk + ".chunk" }
func AddressesKey(run, chunk string) string { return run + "/chunks/" + chunk + ".addresses" }
func GeoKey(run, chunk string) string       { return run + "/chunks/" + chunk + ".geo" }
func ThreatKey(run, chunk string) string    { return run + "/chunks/" + chunk + ".threat" }
func LedgerKey(run, part string) string     { return run + "/ledger/" + part + ".json" }
func AccountKey(run string) string          { return run + "/account.json" }
func RunKey(batch, execution string) string { return "batches/" + batch + "/" + execution }

// QuarantineKey is where what a group or chunk set aside lies in the quarantine bucket: by batch, so that a rerun of the
// batch replaces it.
func QuarantineKey(batch, part string) string { return batch + "/" + part + ".ndjson.gz" }
