// Package event holds what every log record becomes: one ECS document, its id, its day and the places where an
// address's facts are joined in later.
//
// A format appends JSON to Doc.Buf; nothing is decoded twice. A finished chunk is one buffer of documents back to back
// plus one small Record each.
package event

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"net/netip"
	"time"

	"github.com/dchest/siphash"

	"stepsiem/shared/address"
)

// ErrSkip says that the bytes are no record at all: a header line, an empty line. They are not counted.
var ErrSkip = errors.New("not a record")

// Filtered says that a record was read and left out on purpose. It is counted under its reason.
type Filtered string

func (f Filtered) Error() string { return string(f) }

// Source is the object that records come from.
type Source struct {
	Bucket, Key, Version string
	// Path is log.file.path: s3://bucket/key.
	Path string
	// Base is the last part of the key; ids of records without an id of their own follow from it.
	Base string
	// Time is when the object was written, as near as is known: it gives the year to timestamps without one.
	Time time.Time
	// Type is the log type when the object's owner says it; "" leaves it to be sniffed.
	Type string
}

// Origin is what a CloudWatch Logs subscription says of a record; nil outside one.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html
type Origin struct {
	Owner, LogGroup, LogStream string
	ID                         []byte // the log event's id
	Time                       int64  // milliseconds since 1970
	Fields                     []byte // extractedFields, a JSON object; nil when there are none
	log                        []byte // ready JSON members of log.*
}

// Side is one end of a connection: where in the document its address's facts go, and which address it is.
type Side struct {
	Mark int32 // offset from the document's start; 0 when there is none
	Addr int32 // number in the chunk's address table; -1 when it is not public
}

// Record is one finished document of a chunk.
type Record struct {
	Start, End          int32 // the document in Chunk.Buf
	ID                  [2]int32
	Time                int64 // @timestamp, milliseconds since 1970
	Offset              int64 // log.offset
	Length              int32 // of the record's own bytes
	Object              int32 // number of the object in its group
	Source, Destination Side
}

// Doc is the document being written. A format's Parse is called with Raw, Offset, Origin and Source set and calls Begin,
// appends members to Buf, and leaves the document closed with "}".
type Doc struct {
	Buf    []byte
	Offset int64   // of the record in the inflated object
	Origin *Origin // nil outside a subscription
	Source *Source

	// Time (milliseconds since 1970) and ID are what Parse found; without an ID one is made.
	Time int64
	ID   []byte

	Calendar            Calendar
	src, dst            side
	start               int
	afterTime, ingested []byte
	labels              []byte
	k0, k1              uint64
}

type side struct {
	mark int
	addr netip.Addr
}

// Open prepares d for the records of one object and one type. ingested is event.ingested, batch is labels.batch.
func (d *Doc) Open(src *Source, typ, batch string, ingested time.Time) {
	d.Source, d.Origin = src, nil
	d.afterTime = append(AppendString([]byte(`","log":{"file":{"path":`), []byte(src.Path)), `},"offset":`...)
	d.ingested = append([]byte(`},"ecs":{"version":"8.17.0"},"event":{"ingested":"`), new(Calendar).AppendTime(nil, ingested.UnixMilli())...)
	d.ingested = append(d.ingested, `","dataset":"`+typ+`"`...)
	d.labels = AppendString([]byte(`"labels":{"batch":`), []byte(batch))
	sum := sha256.Sum256([]byte(src.Base)) // the base name is unknown to whoever writes log lines: ids can't be aimed at
	d.k0, d.k1 = binary.LittleEndian.Uint64(sum[:]), binary.LittleEndian.Uint64(sum[8:])
}

// Reset starts a new record at offset.
func (d *Doc) Reset(offset int64) {
	d.start, d.Offset = len(d.Buf), offset
	d.Time, d.ID = 0, nil
	d.src, d.dst = side{}, side{}
}

// Drop takes back what was appended since Reset.
func (d *Doc) Drop() { d.Buf = d.Buf[:d.start] }

// Begin opens the document with @timestamp (ms since 1970), log.* and the first members of event, which it leaves open;
// event.id is d.ID when that is set by then, else the log event's id:
// the format goes on with `,"member":…` and closes event with "}".
func (d *Doc) Begin(ms int64) { d.BeginLog(ms, nil) }

// BeginLog is Begin with more members of log, each led by a comma.
func (d *Doc) BeginLog(ms int64, log []byte) {
	d.Time = ms
	b := append(d.Buf, `{"@timestamp":"`...)
	b = d.Calendar.AppendTime(b, ms)
	b = append(b, d.afterTime...)
	b = AppendInt(b, d.Offset)
	if o := d.Origin; o != nil {
		b = append(b, o.log...)
	}
	b = append(b, log...)
	d.Buf = append(b, d.ingested...)
	id := d.ID
	if d.Origin != nil && len(id) == 0 {
		id = d.Origin.ID
	}
	if len(id) > 0 {
		d.Buf = append(d.Buf, `,"id":`...)
		d.Buf = AppendString(d.Buf, id)
	}
}

// Original appends `,"original":"…"`.
func (d *Doc) Original(raw []byte) {
	d.Buf = append(d.Buf, `,"original":`...)
	d.Buf = AppendString(d.Buf, raw)
}

// Labels appends `"labels":{"batch":"…"` and leaves it open: the format may add members and closes it with "}".
func (d *Doc) Labels() { d.Buf = append(d.Buf, d.labels...) }

// MarkSource and MarkDestination say that the facts of a belong here: inside the open source or destination object,
// after at least one member.
func (d *Doc) MarkSource(a netip.Addr)      { d.src = side{len(d.Buf) - d.start, a} }
func (d *Doc) MarkDestination(a netip.Addr) { d.dst = side{len(d.Buf) - d.start, a} }

// Prepare puts o's names in form once for all its records; log.group, log.stream and log.owner come from it.
func (o *Origin) Prepare() {
	b := AppendString([]byte(`,"group":`), []byte(o.LogGroup))
	b = AppendString(append(b, `,"stream":`...), []byte(o.LogStream))
	o.log = AppendString(append(b, `,"owner":`...), []byte(o.Owner))
}

// IDLength is the length of a made id: 128 bits in base64url without padding.
const IDLength = 22

// Chunk is a run of finished documents.
type Chunk struct {
	Buf       []byte // documents and ids
	Records   []Record
	Addresses address.Table
	// Bare leaves out ids and address numbers, for whoever wants documents alone: Buf is then NDJSON, ready to be written.
	Bare bool
}

// Commit makes the document since d.Reset a record of c; d.Buf must be c's buffer, which goes on in d. raw is the
// record's own bytes. Without an ID of its own a record gets a hash of the object's base name, the offset and raw.
func (c *Chunk) Commit(d *Doc, raw []byte, object int32) {
	r := Record{Start: int32(d.start), End: int32(len(d.Buf)), Time: d.Time, Offset: d.Offset, Length: int32(len(raw)), Object: object}
	if c.Bare {
		d.Buf = append(d.Buf, '\n')
		c.Records, c.Buf = append(c.Records, r), d.Buf
		return
	}
	r.Source, r.Destination = c.side(d.src), c.side(d.dst)
	id := len(d.Buf)
	switch {
	case len(d.ID) > 0:
		d.Buf = append(d.Buf, d.ID...)
	case d.Origin != nil && len(d.Origin.ID) > 0 && Plain(d.Origin.ID) && len(d.Origin.ID) <= 128:
		d.Buf = append(d.Buf, d.Origin.ID...)
	default:
		d.Buf = d.appendHash(d.Buf, raw)
	}
	r.ID = [2]int32{int32(id), int32(len(d.Buf))}
	c.Records = append(c.Records, r)
	c.Buf = d.Buf
}

func (c *Chunk) side(s side) Side {
	if s.mark == 0 || !address.Public(s.addr) {
		return Side{int32(s.mark), -1}
	}
	return Side{int32(s.mark), c.Addresses.Number(s.addr)}
}

func (d *Doc) appendHash(dst, raw []byte) []byte {
	// Hash128 takes one message; the offset goes in through the key, which keeps equal lines of one object apart.
	h, l := siphash.Hash128(d.k0^uint64(d.Offset), d.k1, raw)
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], h)
	binary.BigEndian.PutUint64(b[8:], l)
	return base64.RawURLEncoding.AppendEncode(dst, b[:])
}

// ID and Doc are the bytes of record r.
func (c *Chunk) ID(r *Record) []byte  { return c.Buf[r.ID[0]:r.ID[1]] }
func (c *Chunk) Doc(r *Record) []byte { return c.Buf[r.Start:r.End] }

// Next empties c but for its addresses, which go on being numbered, and keeps its memory.
func (c *Chunk) Next() { c.Buf, c.Records = c.Buf[:0], c.Records[:0] }

// Reset empties c and keeps its memory.
func (c *Chunk) Reset() {
	c.Next()
	c.Addresses.Reset()
}
