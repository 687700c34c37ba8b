package cloudtrail

import "time"

// CloudTrail can't have recorded anything outside these, in milliseconds since 1970: 2006, when AWS began, and 2100.
const (
	earliest = 1136073600000
	latest   = 4102444800000
)

// parseTime reads RFC 3339 as CloudTrail writes it ("2023-07-10T11:42:36Z"), with any fraction and offset, also with a
// blank for the T and without a zone (UTC) as CloudTrail Lake has it. It returns milliseconds since 1970.
func parseTime(b []byte) (ms int64, ok bool) {
	if len(b) < 19 || b[4] != '-' || b[7] != '-' || b[10]|0x20 != 't' && b[10] != ' ' || b[13] != ':' || b[16] != ':' {
		return 0, false
	}
	y, m, d := number(b[:4]), number(b[5:7]), number(b[8:10])
	h, min, s := number(b[11:13]), number(b[14:16]), number(b[17:19])
	if y < 0 || m < 1 || m > 12 || d < 1 || h < 0 || h > 23 || min < 0 || min > 59 || s < 0 || s > 60 {
		return 0, false
	}
	day := time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC)
	if day.Day() != d {
		return 0, false
	}
	ms = day.UnixMilli() + int64(h*3600+min*60+s)*1000
	b = b[19:]
	if len(b) > 0 && b[0] == '.' {
		n := 1
		for scale := int64(100); n < len(b) && b[n]-'0' <= 9; n++ {
			ms += int64(b[n]-'0') * scale
			scale /= 10
		}
		if n == 1 {
			return 0, false
		}
		b = b[n:]
	}
	offset, ok := zone(b)
	ms -= offset
	return ms, ok && ms >= earliest && ms < latest
}

// zone reads Z, an offset or nothing, into milliseconds.
func zone(b []byte) (int64, bool) {
	switch {
	case len(b) == 0, len(b) == 1 && b[0]|0x20 == 'z':
		return 0, true
	case len(b) != 6 || b[3] != ':' || b[0] != '+' && b[0] != '-':
		return 0, false
	}
	h, m := number(b[1:3]), number(b[4:6])
	if h < 0 || h > 23 || m < 0 || m > 59 {
		return 0, false
	}
	offset := int64(h*60+m) * 60_000
	if b[0] == '-' {
		offset = -offset
	}
	return offset, true
}

// parseMillis reads a whole number of milliseconds since 1970.
func parseMillis(b []byte) (ms int64, ok bool) {
	if len(b) > 13 {
		return 0, false
	}
	for _, c := range b {
		if c-'0' > 9 {
			return 0, false
		}
		ms = ms*10 + int64(c-'0')
	}
	return ms, ms >= earliest && ms < latest
}

// number reads up to four digits; it is negative when there is anything else.
func number(b []byte) (n int) {
	for _, c := range b {
		if c-'0' > 9 {
			return -1
		}
		n = n*10 + int(c-'0')
	}
	return n
}
