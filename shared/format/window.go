package format

import (
	"bytes"
	"fmt"
	"io"
)

// window is a stretch of a stream: buf[pos:end] is read and not yet taken, base is the offset of buf[0].
type window struct {
	r     io.Reader
	limit int64 // bytes of the stream in all
	max   int   // bytes that must be held at once
	buf   []byte
	pos   int
	end   int
	base  int64
	err   error // why nothing more comes; io.EOF at a clean end
	told  bool  // the reason has been rejected with the record it cut
}

const firstWindow = 256 << 10

func (w *window) offset() int64 { return w.base + int64(w.pos) }
func (w *window) rest() []byte  { return w.buf[w.pos:w.end] }

// more reads on, keeping what was not taken. It reports whether bytes were added; without room for any (the
// untaken part is as long as max) it adds none.
func (w *window) more() bool {
	if w.err != nil {
		return false
	}
	if w.pos > 0 {
		copy(w.buf, w.buf[w.pos:w.end])
		w.base += int64(w.pos)
		w.end -= w.pos
		w.pos = 0
	}
	if w.end == len(w.buf) {
		size := min(max(2*len(w.buf), firstWindow), max(w.max, firstWindow))
		if size <= len(w.buf) {
			return false
		}
		w.buf = append(make([]byte, 0, size), w.buf...)[:size]
	}
	for w.err == nil {
		n, err := w.r.Read(w.buf[w.end:])
		w.end += n
		w.err = err
		if over := w.base + int64(w.end) - w.limit; over > 0 {
			w.end -= int(min(over, int64(n)))
			w.err = fmt.Errorf("inflated size over the limit of %d bytes", w.limit)
		}
		if n > 0 {
			return true
		}
	}
	return false
}

// line takes the next line without its end. long is set when it has no end within max bytes: head holds its start, skip
// takes the rest. ok is false at the end of the stream.
func (w *window) line() (line []byte, long, ok bool) {
	seen := 0
	for {
		if i := bytes.IndexByte(w.buf[w.pos+seen:w.end], '\n'); i >= 0 {
			line = w.buf[w.pos : w.pos+seen+i]
			w.pos += seen + i + 1
			return trimCR(line), false, true
		}
		seen = w.end - w.pos
		if w.more() {
			continue
		}
		if w.err == nil {
			return w.rest(), true, true
		}
		line = w.rest()
		w.pos = w.end
		return trimCR(line), false, len(line) > 0
	}
}

func trimCR(b []byte) []byte {
	if n := len(b); n > 0 && b[n-1] == '\r' {
		return b[:n-1]
	}
	return b
}

// skipLine drops everything up to the next line end and returns how many bytes that were.
func (w *window) skipLine() (n int64) {
	for {
		if i := bytes.IndexByte(w.rest(), '\n'); i >= 0 {
			w.pos += i + 1
			return n + int64(i)
		}
		n += int64(w.end - w.pos)
		w.pos = w.end
		if !w.more() {
			return n
		}
	}
}
