package format

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"time"

	"github.com/klauspost/compress/gzip"

	"stepsiem/shared/event"
	"stepsiem/shared/fault"
)

// Version is the parser's version; it goes into every quarantine entry, so that a replay can tell what has changed since.
const Version = "1"

// Options bound and label what a Reader makes.
type Options struct {
	Formats     []Format
	Type        string    // read everything as this type; "" sniffs
	Batch       string    // labels.batch
	Ingested    time.Time // event.ingested
	Earliest    time.Time // event times before are quarantined
	Latest      time.Time // event times after are quarantined
	MaxInflated int64     // bytes of one inflated object; the rest is quarantined
	MaxRecord   int       // bytes of one record
	BlockBytes  int       // documents handed over at a time
	Bare        bool      // documents alone: see event.Chunk.Bare
}

// Defaults for Options; MaxPayload bounds a JSON value that must be held whole (a subscription's payload, a digest).
const (
	DefaultMaxInflated = 8 << 30
	DefaultMaxRecord   = 2 << 20
	DefaultBlockBytes  = 1 << 20
	MaxPayload         = 32 << 20
	MaxRejectBytes     = 64 << 10
	maxLayers          = 4 // gzip in gzip
)

// Reject is what could not become a document: where it stands, why, and its first bytes.
type Reject struct {
	Reason string     `json:"reason"`
	Kind   fault.Kind `json:"kind"`
	Type   string     `json:"type,omitempty"`
	Offset int64      `json:"offset"` // in the inflated object
	Length int64      `json:"length"` // bytes set aside, of which Raw holds at most MaxRejectBytes
	Raw    []byte     `json:"raw"`
}

// Sink takes what a Reader makes. Both arguments are only valid during the call.
type Sink interface {
	// Block takes a run of documents of one type. The sink may reset c.Addresses; the Reader resets the rest.
	Block(typ string, c *event.Chunk) error
	Reject(r *Reject) error
}

// Tally counts the records of one object: read = documents + quarantined + the sum of filtered.
type Tally struct {
	Type        string           `json:"type"`
	Read        int64            `json:"read"`
	Documents   int64            `json:"documents"`
	Quarantined int64            `json:"quarantined"`
	Filtered    map[string]int64 `json:"filtered,omitempty"` // by reason
	Bytes       int64            `json:"bytes"`              // inflated
	Failed      string           `json:"failed,omitempty"`   // why the object could not be read to its end
}

// Reader reads objects one after the other; it is not safe for concurrent use.
type Reader struct {
	opt   Options
	chunk event.Chunk
	doc   event.Doc
	sink  Sink
	tally Tally
	run   *run
	in    *source
	src   *event.Source
	obj   int32

	broken int    // JSON values without end so far
	typ    string // asked for, or ""
}

// NewReader returns a Reader that hands everything to sink. Zero limits in opt take their defaults.
func NewReader(opt Options, sink Sink) *Reader {
	if opt.MaxInflated == 0 {
		opt.MaxInflated = DefaultMaxInflated
	}
	if opt.MaxRecord == 0 {
		opt.MaxRecord = DefaultMaxRecord
	}
	if opt.BlockBytes == 0 {
		opt.BlockBytes = DefaultBlockBytes
	}
	return &Reader{opt: opt, sink: sink, chunk: event.Chunk{Bare: opt.Bare}}
}

// run is a stretch of records of one format within an object.
type run struct {
	format Format
	parser Parser
	start  []byte // of the last value that was sniffed
}

// Read turns one object into documents. object numbers it in its group. The error is an outage or the sink's own;
// whatever is wrong with the content is rejected, counted and told by Tally.Failed.
func (r *Reader) Read(ctx context.Context, src *event.Source, object int32, body io.Reader) (Tally, error) {
	r.src, r.obj, r.run, r.typ = src, object, nil, cmp.Or(src.Type, r.opt.Type)
	r.tally = Tally{Filtered: map[string]int64{}}
	r.in = &source{ctx: ctx, r: body}
	err := r.layers(r.in)
	if err == nil {
		err = r.flush()
	}
	if err == nil && r.tally.Type == "" {
		r.tally.Type = r.typ
	}
	return r.tally, err
}

// source remembers whether reading failed below the content: an outage is never mistaken for a truncated object.
type source struct {
	ctx context.Context
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		s.err = err
		return 0, err
	}
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

var gzipMagic = []byte{0x1f, 0x8b}

// layers opens gzip layers until plain content is met and reads that.
func (r *Reader) layers(in *source) error {
	br := bufio.NewReaderSize(in, 256<<10)
	for range maxLayers {
		head, err := br.Peek(2)
		if in.err != nil {
			return r.outage()
		}
		if len(head) == 0 && err == io.EOF {
			return r.object("empty object", nil)
		}
		if !bytes.Equal(head, gzipMagic) {
			break
		}
		zr, err := gzip.NewReader(br)
		if err != nil {
			if in.err != nil {
				return r.outage()
			}
			raw, _ := io.ReadAll(io.LimitReader(br, MaxRejectBytes))
			return r.object(fmt.Sprintf("inflate: %v", err), raw)
		}
		br = bufio.NewReaderSize(zr, 64<<10)
	}
	w := &window{r: br, limit: r.opt.MaxInflated, max: r.opt.MaxRecord}
	err := r.content(w)
	r.tally.Bytes += w.offset()
	if in.err != nil {
		return r.outage()
	}
	if err != nil {
		return err
	}
	if w.err != nil && w.err != io.EOF {
		r.fail(fmt.Sprintf("inflate: %v after %d bytes", w.err, w.offset()))
		if !w.told {
			return r.reject(r.tally.Failed, "", w.offset(), 0, nil)
		}
	}
	return nil
}

// outage is the error of a source that failed: Unavailable unless it says otherwise.
func (r *Reader) outage() error {
	kind := fault.Of(r.in.err)
	if kind == fault.Bug {
		kind = fault.Unavailable
	}
	return fault.New(kind, "read %s: %w", r.src.Path, r.in.err)
}

func (r *Reader) fail(reason string) {
	if r.tally.Failed == "" {
		r.tally.Failed = reason
	}
}

// object rejects a whole object that holds nothing readable.
func (r *Reader) object(reason string, raw []byte) error {
	r.fail(reason)
	return r.reject(reason, "", 0, int64(len(raw)), raw)
}

func (r *Reader) reject(reason, typ string, offset, length int64, raw []byte) error {
	return r.rejectAs(fault.BadInput, reason, typ, offset, length, raw)
}

func (r *Reader) rejectAs(kind fault.Kind, reason, typ string, offset, length int64, raw []byte) error {
	if r.in.err != nil { // what an outage cut off is no bad input
		return r.outage()
	}
	r.tally.Read++
	r.tally.Quarantined++
	if len(raw) > MaxRejectBytes {
		raw = raw[:MaxRejectBytes]
	}
	return r.sink.Reject(&Reject{Reason: reason, Kind: kind, Type: typ, Offset: offset, Length: length, Raw: raw})
}

// begin makes f the format of the records that follow.
func (r *Reader) begin(f Format) error {
	if r.run != nil && r.run.format == f {
		r.run.parser = f.Open()
		return nil
	}
	if err := r.flush(); err != nil {
		return err
	}
	r.run = &run{format: f, parser: f.Open()}
	r.doc.Open(r.src, f.Type(), r.opt.Batch, r.opt.Ingested)
	switch r.tally.Type {
	case "", f.Type():
		r.tally.Type = f.Type()
	default:
		r.tally.Type = Mixed
	}
	return nil
}

// Mixed is the type of an object or batch that holds several.
const Mixed = "mixed"

// record gives one record to the current format and counts it.
func (r *Reader) record(raw []byte, offset int64, origin *event.Origin) error {
	typ := r.run.format.Type()
	r.doc.Buf = r.chunk.Buf
	r.doc.Reset(offset)
	r.doc.Origin = origin
	err := r.parse(raw)
	if err == nil {
		if ms := r.doc.Time; ms < r.opt.Earliest.UnixMilli() || ms > r.opt.Latest.UnixMilli() {
			err = fault.New(fault.BadInput, "event time %s is outside %s to %s", time.UnixMilli(ms).UTC().Format(time.RFC3339),
				r.opt.Earliest.UTC().Format(time.DateOnly), r.opt.Latest.UTC().Format(time.RFC3339))
		}
	}
	if err == nil {
		r.chunk.Commit(&r.doc, raw, r.obj)
		r.tally.Read++
		r.tally.Documents++
		if len(r.chunk.Buf) >= r.opt.BlockBytes {
			return r.flush()
		}
		return nil
	}
	r.doc.Drop()
	r.chunk.Buf = r.doc.Buf
	if err == event.ErrSkip {
		return nil
	}
	var reason event.Filtered
	if errors.As(err, &reason) {
		r.tally.Read++
		r.tally.Filtered[string(reason)]++
		return nil
	}
	kind := fault.BadInput
	if fault.Of(err) == fault.Bug && errors.As(err, new(*panicked)) {
		kind = fault.Bug
	}
	return r.rejectAs(kind, err.Error(), typ, offset, int64(len(raw)), raw)
}

type panicked struct {
	value any
	stack []byte
}

func (p *panicked) Error() string { return fmt.Sprintf("panic: %v\n%s", p.value, p.stack) }

func (r *Reader) parse(raw []byte) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &panicked{p, debug.Stack()}
		}
	}()
	return r.run.parser.Parse(raw, &r.doc)
}

func (r *Reader) flush() error {
	if len(r.chunk.Records) == 0 {
		return nil
	}
	err := r.sink.Block(r.run.format.Type(), &r.chunk)
	r.chunk.Next()
	return err
}

// choose finds the format of a record: the asked-for type, else the surest sniff, else what the key says.
func (r *Reader) choose(record []byte, framing Framing) Format {
	var best Format
	sure := 0
	hint := r.typ
	if hint == "" {
		hint = TypeOfKey(r.src.Key)
	}
	for _, f := range r.opt.Formats {
		if f.Framing() != framing {
			continue
		}
		if r.typ != "" {
			if f.Type() == r.typ {
				return f
			}
			continue
		}
		n := f.Sniff(record)
		if f.Type() == hint {
			n += 10
		}
		if n > sure {
			best, sure = f, n
		}
	}
	return best
}
