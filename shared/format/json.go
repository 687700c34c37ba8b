package format

import "bytes"

// scanner finds where a JSON value ends: it matches brackets and strings, nothing more. It goes on where it stopped, so
// a value may come in pieces.
type scanner struct {
	depth   int
	text    bool // inside a string
	escaped bool // the last byte of a piece was an open backslash
}

// scan returns how many bytes of b belong to the value and whether it ended there.
func (s *scanner) scan(b []byte) (n int, done bool) {
	i := 0
	for i < len(b) {
		if s.text {
			if i = s.string(b, i); s.text {
				return i, false
			}
			continue
		}
		switch b[i] {
		case '"':
			s.text = true
		case '{', '[':
			s.depth++
		case '}', ']':
			s.depth--
			if s.depth == 0 {
				return i + 1, true
			}
		}
		i++
	}
	return i, false
}

// string goes from i inside a string to behind its end, or to the end of b.
func (s *scanner) string(b []byte, i int) int {
	for {
		j := bytes.IndexByte(b[i:], '"')
		end := i + j
		if j < 0 {
			end = len(b)
		}
		slashes := 0
		for end-slashes > i && b[end-slashes-1] == '\\' {
			slashes++
		}
		open := slashes%2 == 1
		if end-slashes == i && s.escaped {
			open = !open
		}
		if j < 0 {
			s.escaped = open
			return end
		}
		i, s.escaped = end+1, false
		if !open {
			s.text = false
			return i
		}
	}
}

// space skips white space and returns the next byte without taking it; 0 at the end.
func (w *window) space() byte {
	for {
		for ; w.pos < w.end; w.pos++ {
			switch c := w.buf[w.pos]; c {
			case ' ', '\t', '\r', '\n', 0:
			default:
				return c
			}
		}
		if !w.more() {
			return 0
		}
	}
}

// value returns the whole JSON value at pos without taking it; ok is false when it is longer than max or cut off.
func (w *window) value() (raw []byte, ok bool) {
	var s scanner
	seen := 0
	for {
		n, done := s.scan(w.buf[w.pos+seen : w.end])
		if seen += n; done {
			return w.buf[w.pos : w.pos+seen], true
		}
		if !w.more() {
			return nil, false
		}
	}
}

// skip drops everything up to the end of the value that s is in.
func (w *window) skip(s scanner) {
	for {
		n, done := s.scan(w.rest())
		w.pos += n
		if done || !w.more() {
			return
		}
	}
}

// records takes the opening of {"Records":[ and reports whether it was there.
func (w *window) records() bool {
	for w.end-w.pos < 256 && w.more() {
	}
	head := w.rest()[:min(256, len(w.rest()))]
	b := head
	for _, token := range []string{"{", `"Records"`, ":", "["} {
		b = bytes.TrimLeft(b, " \t\r\n")
		if !bytes.HasPrefix(b, []byte(token)) {
			return false
		}
		b = b[len(token):]
	}
	w.pos += len(head) - len(b)
	return true
}
