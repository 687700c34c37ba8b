package format

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
)

// Table is a Format whose records also come in a binary container that must be read from its end, as Parquet is.
type Table interface {
	Format
	// Magic is what the container starts with.
	Magic() []byte
	// Rows gives the container's rows as the format's text lines and the header line that names their fields. A line is
	// valid until the next. The first error ends rows.
	Rows(r io.ReaderAt, size int64) (header []byte, rows iter.Seq2[[]byte, error], err error)
}

var bom = []byte("\xef\xbb\xbf")

// content reads plain content: a table, JSON values or lines.
func (r *Reader) content(w *window) error {
	for w.end-w.pos < sniffBytes && w.more() {
	}
	if bytes.HasPrefix(w.rest(), bom) {
		w.pos += len(bom)
	}
	for _, f := range r.opt.Formats {
		if t, ok := f.(Table); ok && bytes.HasPrefix(w.rest(), t.Magic()) {
			return r.table(t, w)
		}
	}
	switch c := w.space(); {
	case c == 0 && w.err != io.EOF:
		return nil // the caller tells why
	case c == 0:
		return r.object("empty object", nil)
	case c == '{', c == '[' && (r.opt.Type == "" || r.reads(JSON)):
		return r.values(w)
	}
	return r.lines(w)
}

// reads reports whether the asked-for type comes in this framing.
func (r *Reader) reads(framing Framing) bool {
	for _, f := range r.opt.Formats {
		if f.Type() == r.typ && f.Framing() == framing {
			return true
		}
	}
	return false
}

// What is looked at to tell the format of lines; garbage may come before the first good one.
const (
	sniffBytes = 64 << 10
	sniffLines = 16
)

// sniff finds the format of the lines ahead.
func (r *Reader) sniff(w *window) Format {
	head := w.rest()[:min(sniffBytes, len(w.rest()))]
	for range sniffLines {
		line, rest, _ := bytes.Cut(head, []byte("\n"))
		if f := r.choose(trimCR(line), Lines); f != nil {
			return f
		}
		head = rest
	}
	return r.hinted(Lines)
}

// lines reads one record a line.
func (r *Reader) lines(w *window) error {
	w.max = r.opt.MaxRecord
	f := r.sniff(w)
	if f == nil {
		offset, raw := w.offset(), bytes.Clone(w.rest()[:min(MaxRejectBytes, len(w.rest()))])
		n := w.drain()
		r.fail("no known log format")
		w.told = true
		return r.reject(r.tally.Failed, "", offset, n, raw)
	}
	if err := r.begin(f); err != nil {
		return err
	}
	for {
		offset := w.offset()
		line, long, ok := w.line()
		switch {
		case !ok:
			return nil
		case long:
			raw := bytes.Clone(line[:min(MaxRejectBytes, len(line))])
			n := w.skipLine()
			if err := r.reject(fmt.Sprintf("record longer than %d bytes", r.opt.MaxRecord), f.Type(), offset, n, raw); err != nil {
				return err
			}
		case w.cut() && w.pos == w.end && w.buf[w.end-1] != '\n':
			w.told = true
			return r.reject(fmt.Sprintf("record cut off: %v", w.err), f.Type(), offset, int64(len(line)), line)
		case len(bytes.TrimSpace(line)) == 0:
		default:
			if err := r.record(line, offset, nil); err != nil {
				return err
			}
		}
	}
}

// cut reports whether the stream ended before its end.
func (w *window) cut() bool { return w.err != nil && w.err != io.EOF }

// drain drops the rest of the stream and returns how long it was.
func (w *window) drain() int64 {
	start := w.offset()
	w.pos = w.end
	for w.more() {
		w.pos = w.end
	}
	return w.offset() - start
}

// hinted is the format that the caller or the key's layout names, when its framing fits.
func (r *Reader) hinted(framing Framing) Format {
	typ := r.typ
	if typ == "" {
		typ = TypeOfKey(r.src.Key)
	}
	for _, f := range r.opt.Formats {
		if f.Type() == typ && f.Framing() == framing {
			return f
		}
	}
	return nil
}

// MaxTable bounds a container, which must be spooled to disk: half of what a Lambda has there.
const MaxTable = 256 << 20

// table spools a container to disk, as its index is at its end, and reads its rows as lines. Offsets are row numbers.
func (r *Reader) table(t Table, w *window) error {
	w.limit = min(w.limit, MaxTable)
	raw := bytes.Clone(w.rest()[:min(MaxRejectBytes, len(w.rest()))])
	tmp, err := os.CreateTemp("", "table-*")
	if err != nil {
		return fmt.Errorf("spool table: %w", err)
	}
	defer os.Remove(tmp.Name())
	defer tmp.Close()
	for more := true; more; more = w.more() {
		if _, err := tmp.Write(w.rest()); err != nil {
			return fmt.Errorf("spool table: %w", err)
		}
		w.pos = w.end
	}
	if w.cut() {
		w.told = true
		return r.object(fmt.Sprintf("read table: %v", w.err), raw)
	}
	header, rows, err := t.Rows(tmp, w.offset())
	if err != nil {
		return r.object(fmt.Sprintf("open table: %v", err), raw)
	}
	if err := r.begin(t); err != nil {
		return err
	}
	if err := r.record(header, 0, nil); err != nil {
		return err
	}
	row := int64(0)
	for line, err := range rows {
		if err != nil {
			r.fail(fmt.Sprintf("read row %d: %v", row, err))
			return r.reject(r.tally.Failed, t.Type(), row, 0, nil)
		}
		if err := r.record(line, row, nil); err != nil {
			return err
		}
		row++
	}
	return nil
}

var errNotJSON = errors.New("no JSON record")

// maxBroken bounds how often a record without end is looked for the next one's start.
const maxBroken = 64

// values reads JSON values: an array of records, {"Records":[…]}, or values behind each other.
func (r *Reader) values(w *window) error {
	first := true
	for {
		w.max = MaxPayload
		switch c := w.space(); c {
		case 0:
			return nil
		case '[', ']', ',':
			w.pos++
		case '{':
			if w.records() {
				if err := r.elements(w); err != nil {
					return err
				}
				break
			}
			err := r.value(w, first)
			if err == errNotJSON {
				return r.lines(w)
			}
			if err != nil {
				return err
			}
		default:
			if err := r.garbage(w); err != nil {
				return err
			}
		}
		first = false
	}
}

// elements reads the records of an open array up to the end of the object that holds it.
func (r *Reader) elements(w *window) error {
	w.max = r.opt.MaxRecord
	for {
		switch c := w.space(); c {
		case 0:
			if w.err == io.EOF && !w.told {
				r.fail("unexpected end of JSON")
				return r.reject(r.tally.Failed, "", w.offset(), 0, nil)
			}
			return nil
		case ',':
			w.pos++
		case '{':
			if err := r.value(w, false); err != nil {
				return err
			}
		case ']':
			w.pos++
			w.skip(scanner{depth: 1})
			return nil
		default:
			if err := r.garbage(w); err != nil {
				return err
			}
		}
	}
}

// garbage rejects bytes that start no record, up to the next one.
func (r *Reader) garbage(w *window) error {
	offset := w.offset()
	raw := []byte{}
	for {
		i := bytes.IndexAny(w.rest(), "{\n")
		n := i
		if i < 0 {
			n = len(w.rest())
		}
		raw = append(raw, w.rest()[:min(n, MaxRejectBytes-len(raw))]...)
		w.pos += n
		if i >= 0 || !w.more() {
			return r.reject("unexpected bytes between records", "", offset, w.offset()-offset, raw)
		}
	}
}

// value reads one JSON object: a record, or an envelope of many. first allows it to say errNotJSON, with nothing taken.
func (r *Reader) value(w *window, first bool) error {
	offset := w.offset()
	raw, ok := w.value()
	if !ok {
		head := bytes.Clone(w.rest()[:min(MaxRejectBytes, len(w.rest()))])
		if i := bytes.Index(w.rest(), []byte("\n{")); i >= 0 && r.broken < maxBroken { // it must not take those behind it along
			r.broken++
			w.pos += i + 1
			return r.reject("record cut off: no end on its line", "", offset, int64(i), head[:min(i, len(head))])
		}
		if w.err == nil {
			w.skip(scanner{})
			return r.reject(fmt.Sprintf("record longer than %d bytes", w.max), "", offset, w.offset()-offset, head)
		}
		if first && r.sniff(w) != nil {
			return errNotJSON
		}
		why := "unexpected end of JSON"
		if w.cut() {
			why = w.err.Error()
		}
		w.pos, w.told = w.end, true
		r.fail("record cut off: " + why)
		return r.reject(r.tally.Failed, "", offset, w.offset()-offset, head)
	}
	if r.alike(raw) {
		w.pos += len(raw)
		return r.record(raw, offset, nil)
	}
	if done, err := r.envelope(raw, offset); done || err != nil {
		w.pos += len(raw)
		return err
	}
	f := r.choose(raw, JSON)
	if f == nil {
		if first && r.sniff(w) != nil {
			return errNotJSON
		}
		f = r.hinted(JSON)
	}
	w.pos += len(raw)
	switch {
	case f == nil:
		return r.reject("no known log format", "", offset, int64(len(raw)), raw)
	case len(raw) > r.opt.MaxRecord:
		return r.reject(fmt.Sprintf("record longer than %d bytes", r.opt.MaxRecord), f.Type(), offset, int64(len(raw)), raw)
	}
	if r.run == nil || r.run.format != f {
		if err := r.begin(f); err != nil {
			return err
		}
	}
	r.run.start = append(r.run.start[:0], raw[:min(len(raw), likeness)]...)
	return r.record(raw, offset, nil)
}

// likeness is how many first bytes, `{"eventVersion"` say, tell that a value is of the kind of the one before.
const likeness = 15

// alike spares sniffing at every one of a row of records.
func (r *Reader) alike(raw []byte) bool {
	return r.run != nil && len(r.run.start) == likeness && len(raw) <= r.opt.MaxRecord && bytes.HasPrefix(raw, r.run.start)
}
