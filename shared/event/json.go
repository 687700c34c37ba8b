package event

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"strconv"
	"unicode/utf8"
)

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
	hex   = "0123456789abcdef"
)

// Dirty marks with 0x80 the bytes of w, eight bytes of text in little-endian order, that JSON or a terminal does not take as they
// are: below 0x20, above 0x7e, quote and backslash. It may mark bytes above a marked one too: only the lowest mark is exact.
func Dirty(w uint64) uint64 {
	quote := w ^ ones*'"'
	slash := w ^ ones*'\\'
	del := w ^ ones*0x7f
	return (w | (w - ones*0x20) | (quote - ones) | (slash - ones) | (del - ones)) & highs
}

// Plain reports whether JSON and a terminal take s as it is: printable ASCII without quote and backslash.
func Plain(s []byte) bool { return plain(s) == len(s) }

// plain returns a length of s, from its start, that is surely plain; it is len(s) exactly when all of s is plain.
func plain(s []byte) int {
	i := 0
	for ; i+8 <= len(s); i += 8 {
		if Dirty(binary.LittleEndian.Uint64(s[i:])) != 0 {
			break
		}
	}
	for ; i < len(s); i++ {
		if c := s[i]; c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			return i
		}
	}
	return i
}

// AppendString appends s as a JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD; control characters,
// DEL among them, are escaped, so no terminal sequence survives.
func AppendString(dst, s []byte) []byte {
	dst = append(dst, '"')
	dst = AppendEscaped(dst, s)
	return append(dst, '"')
}

// AppendEscaped is AppendString without the quotes.
func AppendEscaped(dst, s []byte) []byte {
	n := plain(s)
	dst = append(dst, s[:n]...)
	for s = s[n:]; len(s) > 0; {
		const block, slack = 512, 8
		n := min(len(s), block)
		dst = slices.Grow(dst, 2*n+slack)
		out, i, j := dst[len(dst):len(dst)+2*n+slack], 0, 0
		for ; i+8 <= n; i += 8 {
			w := binary.LittleEndian.Uint64(s[i:])
			if unclean(w) != 0 {
				break
			}
			// s is often JSON itself, with a quote every few bytes: write all eight, then push those from each quote on by one.
			binary.LittleEndian.PutUint64(out[j:], w)
			for m := quotes(w); m != 0; m &= m - 1 {
				k := bits.TrailingZeros64(m) &^ 7
				rest := (*[9]byte)(out[j+k/8:])
				rest[0] = '\\'
				binary.LittleEndian.PutUint64(rest[1:], w>>(k&63))
				j++
			}
			j += 8
		}
		dst, s = dst[:len(dst)+j], s[i:]
		for k := 0; k < 8 && len(s) > 0; k++ {
			var size int
			dst, size = appendRune(dst, s)
			s = s[size:]
		}
	}
	return dst
}

// unclean marks the bytes of w below 0x20 and above 0x7e, as Dirty does.
func unclean(w uint64) uint64 { return (w | (w - ones*0x20) | ((w ^ ones*0x7f) - ones)) & highs }

// quotes marks the quotes and backslashes of w exactly, if w is not unclean.
func quotes(w uint64) uint64 {
	return ^(((w ^ ones*'"') + ones*0x7f) & ((w ^ ones*'\\') + ones*0x7f)) & highs
}

// appendRune appends the escaped form of the first character of s and returns how many bytes that has.
func appendRune(dst, s []byte) ([]byte, int) {
	switch c := s[0]; {
	case c == '"' || c == '\\':
		return append(dst, '\\', c), 1
	case c == '\n':
		return append(dst, '\\', 'n'), 1
	case c == '\t':
		return append(dst, '\\', 't'), 1
	case c == '\r':
		return append(dst, '\\', 'r'), 1
	case c < 0x20 || c == 0x7f:
		return append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15]), 1
	case c < utf8.RuneSelf:
		return append(dst, c), 1
	}
	r, size := utf8.DecodeRune(s)
	switch {
	case r == utf8.RuneError && size == 1:
		return append(dst, "\uFFFD"...), 1
	case r < 0xa0: // C1 controls
		return append(dst, '\\', 'u', '0', '0', hex[r>>4], hex[r&15]), size
	}
	return append(dst, s[:size]...), size
}

// AppendInt appends n in decimal.
func AppendInt(dst []byte, n int64) []byte { return strconv.AppendInt(dst, n, 10) }

// Calendar writes times as RFC 3339 in UTC with milliseconds ("2023-07-10T12:40:00.000Z"). It remembers the last day, as
// records come in order; the zero value is ready.
type Calendar struct {
	day  int64
	text [24]byte // "2023-07-10T00:00:00.000Z"
}

const dayMillis = 24 * 60 * 60 * 1000

// AppendTime appends ms, milliseconds since 1970, without quotes. Years outside 0 to 9999 are the caller's to refuse.
func (c *Calendar) AppendTime(dst []byte, ms int64) []byte {
	day := floorDiv(ms, dayMillis)
	if day != c.day || c.text[0] == 0 {
		c.day = day
		y, m, d := civil(day)
		c.text = [24]byte{byte('0' + y/1000%10), byte('0' + y/100%10), byte('0' + y/10%10), byte('0' + y%10), '-',
			byte('0' + m/10), byte('0' + m%10), '-', byte('0' + d/10), byte('0' + d%10)}
		copy(c.text[10:], "T00:00:00.000Z")
	}
	rest := uint32(ms - day*dayMillis)
	s, f := rest/1000, rest%1000
	h, m := s/3600, s/60%60
	s %= 60
	dst = append(dst, c.text[:]...)
	t := dst[len(dst)-len("00:00:00.000Z"):]
	t[0], t[1] = byte('0'+h/10), byte('0'+h%10)
	t[3], t[4] = byte('0'+m/10), byte('0'+m%10)
	t[6], t[7] = byte('0'+s/10), byte('0'+s%10)
	t[9], t[10], t[11] = byte('0'+f/100), byte('0'+f/10%10), byte('0'+f%10)
	return dst
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// civil turns days since 1970 into a date of the proleptic Gregorian calendar.
func civil(z int64) (y, m, d int64) {
	z += 719468
	era := floorDiv(z, 146097)
	doe := z - era*146097
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	d = doy - (153*mp+2)/5 + 1
	m = mp + 3
	if m > 12 {
		m -= 12
	}
	y = yoe + era*400
	if m <= 2 {
		y++
	}
	return y, m, d
}

// Day is the day of ms in UTC as index names carry it: "2023.07.10".
func Day(ms int64) string {
	y, m, d := civil(floorDiv(ms, dayMillis))
	b := []byte("0000.00.00")
	b[0], b[1], b[2], b[3] = byte('0'+y/1000%10), byte('0'+y/100%10), byte('0'+y/10%10), byte('0'+y%10)
	b[5], b[6], b[8], b[9] = byte('0'+m/10), byte('0'+m%10), byte('0'+d/10), byte('0'+d%10)
	return string(b)
}
