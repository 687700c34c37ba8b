package cloudtrail

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"

	"stepsiem/shared/event"
)

// The limits of what is written. A flat_object refuses the whole document when the path and value of one leaf come to more
// than 32,766 bytes; maxDepth keys of maxKey bytes and one value of maxText stay below that.
const (
	maxDepth  = 100
	maxKey    = 200
	maxText   = 8000
	maxNumber = 500 // characters; longer ones become text, as OpenSearch's reader stops at 1,000
	cutMark   = "…[cut]"
)

// scanner reads one JSON text (RFC 8259) once, strictly, and writes what it reads in a compact canonical form.
type scanner struct {
	in   []byte
	pos  int
	text []byte // a decoded string
	keys []span // of the objects being written, innermost last

	objects int // written so far, to tell large ones apart in seen
	seen    map[member]struct{}
	seed    maphash.Seed
}

type span struct{ start, end int }

type member struct {
	object int
	hash   uint64
}

func (s *scanner) reset(in []byte) {
	s.in, s.pos, s.keys, s.objects = in, 0, s.keys[:0], 0
	if len(s.seen) > 10_000 {
		s.seen = nil // clearing would cost every later record what this one needed
	}
	clear(s.seen)
}

func (s *scanner) fail(what string) error {
	return fmt.Errorf("parse JSON: %s at offset %d", what, s.pos)
}

// peek skips blanks and returns the next byte, 0 at the end.
func (s *scanner) peek() byte {
	for ; s.pos < len(s.in); s.pos++ {
		switch c := s.in[s.pos]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

// enter steps into the object or array at pos; more is false when it is empty, and has been left again.
func (s *scanner) enter(closing byte, depth int) (more bool, err error) {
	if depth >= maxDepth {
		return false, s.fail(fmt.Sprintf("nesting deeper than %d", maxDepth))
	}
	s.pos++
	if s.peek() == closing {
		s.pos++
		return false, nil
	}
	return true, nil
}

// next steps over a comma or out of the object or array.
func (s *scanner) next(closing byte) (more bool, err error) {
	switch s.peek() {
	case ',':
		s.pos++
		return true, nil
	case closing:
		s.pos++
		return false, nil
	}
	return false, s.fail(fmt.Sprintf("no comma or %q", closing))
}

// key reads a member's name and its colon, up to the value.
func (s *scanner) key() (k span, ready bool, err error) {
	if s.peek() != '"' {
		return k, false, s.fail("no member name")
	}
	if k, ready, err = s.str(); err != nil {
		return k, false, err
	}
	if s.peek() != ':' {
		return k, false, s.fail("no colon")
	}
	s.pos++
	return k, ready, nil
}

// str reads the string at pos; the span has no quotes. ready says that it already stands as event.AppendString writes it.
func (s *scanner) str() (text span, ready bool, err error) {
	in, i := s.in, s.pos+1
	for i+8 <= len(in) {
		m := event.Dirty(binary.LittleEndian.Uint64(in[i:]))
		if m == 0 {
			i += 8
			continue
		}
		i += bits.TrailingZeros64(m) / 8
		if in[i] != '"' {
			break
		}
		text = span{s.pos + 1, i}
		s.pos = i + 1
		return text, true, nil
	}
	return s.strTail(i)
}

// strTail is str from byte i on, where something other than plain text or the record's end is near.
func (s *scanner) strTail(i int) (text span, ready bool, err error) {
	for ready = true; i < len(s.in); i++ {
		switch c := s.in[i]; {
		case c == '"':
			text = span{s.pos + 1, i}
			s.pos = i + 1
			return text, ready, nil
		case c == '\\':
			n := escape(s.in[i+1:])
			if n == 0 {
				s.pos = i
				return text, false, s.fail("bad escape")
			}
			ready = ready && bytes.IndexByte([]byte(`"\nrt`), s.in[i+1]) >= 0
			i += n
		case c < 0x20:
			s.pos = i
			return text, false, s.fail("control character in a string")
		case c > 0x7e:
			ready = false
		}
	}
	return text, false, s.fail("string without end")
}

// escape returns how many bytes an escape sequence has behind its backslash, 0 when it is none.
func escape(b []byte) int {
	switch {
	case len(b) == 0:
		return 0
	case b[0] != 'u':
		return min(1, bytes.IndexByte([]byte(`"\/bfnrt`), b[0])+1)
	case len(b) < 5:
		return 0
	}
	for _, c := range b[1:5] {
		if _, ok := digit(c); !ok {
			return 0
		}
	}
	return 5
}

func digit(c byte) (rune, bool) {
	switch {
	case c >= '0' && c <= '9':
		return rune(c - '0'), true
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return rune(c|0x20-'a') + 10, true
	}
	return 0, false
}

// decode returns the text of a string that str accepted, valid until the next call. What is no character (bytes that are
// not UTF-8, half a surrogate pair) is U+FFFD. Text longer than limit is cut.
func (s *scanner) decode(t span, limit int) []byte {
	b := s.text[:0]
	for in := s.in[t.start:t.end]; len(in) > 0 && len(b) <= limit; {
		switch c := in[0]; {
		case c == '\\':
			r, n := unescape(in)
			b, in = utf8.AppendRune(b, r), in[n:]
		case c < utf8.RuneSelf:
			b, in = append(b, c), in[1:]
		default:
			r, n := utf8.DecodeRune(in)
			b, in = utf8.AppendRune(b, r), in[n:]
		}
	}
	s.text = cut(b, limit)
	return s.text
}

// unescape decodes the valid escape sequence that b starts with.
func unescape(b []byte) (r rune, size int) {
	switch b[1] {
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
	default:
		return rune(b[1]), 2
	}
	r = unit(b[2:])
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	if len(b) >= 12 && b[6] == '\\' && b[7] == 'u' {
		if r := utf16.DecodeRune(r, unit(b[8:])); r != utf8.RuneError {
			return r, 12
		}
	}
	return utf8.RuneError, 6
}

func unit(b []byte) (r rune) {
	for _, c := range b[:4] {
		d, _ := digit(c)
		r = r<<4 | d
	}
	return r
}

// cut shortens valid UTF-8 to limit bytes, says so at its end, and may grow b by the few bytes that takes.
func cut(b []byte, limit int) []byte {
	if len(b) <= limit {
		return b
	}
	for limit > 0 && !utf8.RuneStart(b[limit]) {
		limit--
	}
	return append(b[:limit], cutMark...)
}

// number reads the number at pos.
func (s *scanner) number() (span, error) {
	start := s.pos
	if s.in[s.pos] == '-' {
		s.pos++
	}
	whole := s.pos
	if s.digits() == 0 || s.in[whole] == '0' && s.pos > whole+1 {
		return span{}, s.fail("no value")
	}
	if s.pos < len(s.in) && s.in[s.pos] == '.' {
		s.pos++
		if s.digits() == 0 {
			return span{}, s.fail("no digit behind the point")
		}
	}
	if s.pos < len(s.in) && s.in[s.pos]|0x20 == 'e' {
		s.pos++
		if s.pos < len(s.in) && (s.in[s.pos] == '+' || s.in[s.pos] == '-') {
			s.pos++
		}
		if s.digits() == 0 {
			return span{}, s.fail("no digit in the exponent")
		}
	}
	return span{start, s.pos}, nil
}

func (s *scanner) digits() (n int) {
	for ; s.pos < len(s.in) && s.in[s.pos]-'0' <= 9; s.pos++ {
		n++
	}
	return n
}

// literal reads true, false or null.
func (s *scanner) literal() (span, error) {
	for _, word := range [...]string{"true", "false", "null"} {
		if end := s.pos + len(word); end <= len(s.in) && string(s.in[s.pos:end]) == word {
			t := span{s.pos, end}
			s.pos = end
			return t, nil
		}
	}
	return span{}, s.fail("no value")
}

// copyValue appends the value at pos to dst: without blanks, without second members of one name (the first stays), with
// names and texts in canonical form and within their limits. dst must be one buffer from the outermost call inwards.
func (s *scanner) copyValue(dst []byte, depth int) ([]byte, error) {
	switch c := s.peek(); {
	case c == '"':
		t, ready, err := s.str()
		if err != nil {
			return dst, err
		}
		return s.appendText(dst, t, ready, maxText), nil
	case c == '{':
		return s.copyObject(dst, depth, nil)
	case c == '[':
		dst, _, err := s.copyArray(dst, depth)
		return dst, err
	case c == '-' || c-'0' <= 9:
		t, err := s.number()
		if n := t.end - t.start; n > maxNumber {
			return s.appendText(dst, t, true, maxText), err
		}
		return append(dst, s.in[t.start:t.end]...), err
	}
	t, err := s.literal()
	return append(dst, s.in[t.start:t.end]...), err
}

// copyArray is copyValue for an array; objects says that it holds nothing else.
func (s *scanner) copyArray(dst []byte, depth int) (_ []byte, objects bool, err error) {
	dst, objects = append(dst, '['), true
	more, err := s.enter(']', depth)
	for more {
		objects = objects && s.peek() == '{'
		if dst, err = s.copyValue(dst, depth+1); err != nil {
			return dst, false, err
		}
		if more, err = s.next(']'); more {
			dst = append(dst, ',')
		}
	}
	return append(dst, ']'), objects, err
}

// copyObject is copyValue for an object; each is told of the members written, by the places of name and value in dst.
func (s *scanner) copyObject(dst []byte, depth int, each func(dst []byte, name, value span)) ([]byte, error) {
	s.objects++
	object, base := s.objects, len(s.keys)
	dst = append(dst, '{')
	more, err := s.enter('}', depth)
	for more {
		start := len(dst)
		t, ready, err := s.key()
		if err != nil {
			return dst, err
		}
		if len(s.keys) > base {
			dst = append(dst, ',')
		}
		name := span{start: len(dst)}
		dst = s.appendText(dst, t, ready, maxKey)
		name.end = len(dst)
		fresh := s.fresh(dst, name, base, object)
		dst = append(dst, ':')
		value := span{start: len(dst)}
		if dst, err = s.copyValue(dst, depth+1); err != nil {
			return dst, err
		}
		if value.end = len(dst); !fresh {
			dst = dst[:start]
		} else if each != nil {
			each(dst, name, value)
		}
		if more, err = s.next('}'); err != nil {
			return dst, err
		}
	}
	s.keys = s.keys[:base]
	return append(dst, '}'), err
}

// few is how many names of an object are compared one by one.
const few = 32

// fresh notes a member's name, as it stands in dst, and reports whether the object did not have it before.
func (s *scanner) fresh(dst []byte, name span, base, object int) bool {
	text := dst[name.start:name.end]
	if known := s.keys[base:]; len(known) < few {
		for _, k := range known {
			if k.end-k.start == len(text) && bytes.Equal(dst[k.start:k.end], text) {
				return false
			}
		}
	} else {
		if s.seen == nil {
			s.seen = map[member]struct{}{}
		}
		if len(known) == few {
			for _, k := range known {
				s.seen[s.member(object, dst[k.start:k.end])] = struct{}{}
			}
		}
		m := s.member(object, text)
		if _, ok := s.seen[m]; ok {
			return false
		}
		s.seen[m] = struct{}{}
	}
	s.keys = append(s.keys, name)
	return true
}

func (s *scanner) member(object int, name []byte) member {
	return member{object, maphash.Bytes(s.seed, name)}
}

// appendText appends a string that str read, with its quotes, cut to limit bytes of text.
func (s *scanner) appendText(dst []byte, t span, ready bool, limit int) []byte {
	if ready && t.end-t.start <= limit {
		dst = append(dst, '"')
		dst = append(dst, s.in[t.start:t.end]...)
		return append(dst, '"')
	}
	return event.AppendString(dst, s.decode(t, limit))
}
