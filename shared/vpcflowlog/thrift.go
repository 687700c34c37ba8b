package vpcflowlog

import "errors"

// walker goes over Thrift's compact encoding without building anything: the decoder believes every length it is told, so
// none may reach it unchecked. https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
type walker struct {
	b     []byte
	pos   int
	items int // list elements still allowed
}

const (
	maxItems = 1 << 16
	maxDepth = 16
)

var errThrift = errors.New("malformed Thrift")

// measure returns how many bytes the struct at the start of b takes.
func measure(b []byte) (int, error) {
	w := walker{b: b, items: maxItems}
	if !w.value(12, 0) {
		return 0, errThrift
	}
	return w.pos, nil
}

func (w *walker) byte() (c byte, ok bool) {
	if w.pos >= len(w.b) {
		return 0, false
	}
	c = w.b[w.pos]
	w.pos++
	return c, true
}

func (w *walker) varint() (n uint64, ok bool) {
	for shift := 0; shift < 64; shift += 7 {
		c, ok := w.byte()
		if !ok {
			return 0, false
		}
		if n |= uint64(c&0x7f) << shift; c < 0x80 {
			return n, true
		}
	}
	return 0, false
}

func (w *walker) skip(n uint64) bool {
	if n > uint64(len(w.b)-w.pos) {
		return false
	}
	w.pos += int(n)
	return true
}

// value passes one value of a compact type and reports whether it is whole and within limits.
func (w *walker) value(typ byte, depth int) bool {
	if depth > maxDepth {
		return false
	}
	switch typ {
	case 1, 2: // booleans are their field's type
		return true
	case 3:
		return w.skip(1)
	case 4, 5, 6:
		_, ok := w.varint()
		return ok
	case 7:
		return w.skip(8)
	case 8:
		n, ok := w.varint()
		return ok && w.skip(n)
	case 9, 10:
		return w.list(depth)
	case 12:
		return w.fields(depth)
	}
	return false // maps do not occur in Parquet
}

func (w *walker) list(depth int) bool {
	head, ok := w.byte()
	n := uint64(head >> 4)
	if n == 15 {
		n, ok = w.varint()
	}
	if !ok || n > uint64(w.items) {
		return false
	}
	w.items -= int(n)
	typ := head & 15
	if typ == 1 || typ == 2 {
		return w.skip(n)
	}
	for range n {
		if !w.value(typ, depth+1) {
			return false
		}
	}
	return true
}

func (w *walker) fields(depth int) bool {
	for {
		head, ok := w.byte()
		if !ok || head == 0 {
			return ok
		}
		if head>>4 == 0 { // the id follows
			if _, ok = w.varint(); !ok {
				return false
			}
		}
		if !w.value(head&15, depth+1) {
			return false
		}
	}
}
