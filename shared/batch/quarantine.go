package batch

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/klauspost/compress/gzip"

	"stepsiem/shared/fault"
)

// MaxRaw is how many of a record's bytes its quarantine entry keeps; Length says how many there were.
const MaxRaw = 64 << 10

// Entry is what was set aside, and why: a record, or an object as a whole.
type Entry struct {
	Reason        string    `json:"reason"`
	Kind          string    `json:"kind"`
	Type          string    `json:"type,omitempty"`
	ParserVersion string    `json:"parser_version,omitempty"`
	Batch         string    `json:"batch,omitempty"`
	Bucket        string    `json:"bucket,omitempty"`
	Key           string    `json:"key,omitempty"`
	Version       string    `json:"version,omitempty"`
	Offset        int64     `json:"offset"`        // in the inflated object
	Length        int64     `json:"length"`        // of the record in the inflated object
	Raw           []byte    `json:"raw,omitempty"` // the record's bytes, or the document made of them; at most MaxRaw
	Count         int64     `json:"count"`         // how many records this entry stands for; 1 normally
	Time          time.Time `json:"time,omitzero"` // when it was set aside
}

// Quarantine collects entries as gzipped NDJSON: equal entries make equal bytes. It isn't safe for concurrent use.
type Quarantine struct {
	max     int
	buf     bytes.Buffer
	zip     *gzip.Writer
	entries int
	records int64
	rest    []Entry
	at      map[[3]string]int // object → its number in rest
}

// NewQuarantine returns a Quarantine that keeps at most max entries in full. What comes after them is one last entry for
// each object, which has the first such record's reason and offset, and the count.
func NewQuarantine(max int) *Quarantine {
	q := &Quarantine{max: max, at: map[[3]string]int{}}
	q.zip = gzip.NewWriter(&q.buf)
	return q
}

// Add sets e aside; a Count of 0 means 1. It keeps nothing of e.Raw.
func (q *Quarantine) Add(e Entry) {
	e.Count = cmp.Or(e.Count, 1)
	q.records += e.Count
	if q.entries < q.max {
		q.entries++
		q.write(e)
		return
	}
	object := [3]string{e.Bucket, e.Key, e.Version}
	if i, ok := q.at[object]; ok {
		q.rest[i].Count += e.Count
		return
	}
	e.Raw = nil
	q.at[object] = len(q.rest)
	q.rest = append(q.rest, e)
}

func (q *Quarantine) write(e Entry) {
	e.Raw = e.Raw[:min(len(e.Raw), MaxRaw)]
	if y := e.Time.Year(); y < 0 || y > 9999 {
		e.Time = time.Time{} // JSON has no such year
	}
	json.NewEncoder(q.zip).Encode(e) // neither the entry nor the buffer can fail now
}

// Len is how many records were added.
func (q *Quarantine) Len() int64 { return q.records }

// Bytes ends the collection and returns it.
func (q *Quarantine) Bytes() []byte {
	for _, e := range q.rest {
		q.write(e)
	}
	q.rest = nil
	q.zip.Close()
	return q.buf.Bytes()
}

// ReadQuarantine gives the entries that a Quarantine wrote to r; an error ends them.
func ReadQuarantine(r io.Reader) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		zip, err := gzip.NewReader(r)
		if err != nil {
			yield(Entry{}, unreadable(err))
			return
		}
		for d := json.NewDecoder(zip); ; {
			var e Entry
			switch err := d.Decode(&e); {
			case err == io.EOF:
				return
			case err != nil:
				yield(Entry{}, unreadable(err))
				return
			case !yield(e, nil):
				return
			}
		}
	}
}

// unreadable keeps the kind of what the store said; else the object is not what a Quarantine wrote.
func unreadable(err error) error {
	err = fmt.Errorf("read quarantine: %w", err)
	if kind := fault.Of(err); kind != fault.Bug {
		return err
	}
	return fault.New(fault.BadInput, "%w", err)
}
