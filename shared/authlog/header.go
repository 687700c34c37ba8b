package authlog

import (
	"strings"
	"time"
)

// stamp is a timestamp as it is written.
type stamp struct {
	year                   int // -1 when it is not written
	month, day             int
	hour, min, sec, millis int
	offset                 int // seconds east of UTC
	zoned                  bool
}

// header reads what stands before the program and returns the rest; for RFC 5424 it reads all but the message. It
// reports whether there is a timestamp.
func (e *entry) header(s string) (rest string, ok bool) {
	e.priority = -1
	s, e.priority = cutPriority(s)
	if v5424, yes := strings.CutPrefix(s, "1 "); yes && e.priority >= 0 {
		return e.header5424(v5424)
	}
	if rest, ok = e.stamp.cut(s); !ok {
		return s, false
	}
	host, after := token(rest)
	if strings.HasSuffix(host, ":") {
		if _, _, _, tag := cutTag(rest); tag {
			return rest, true // no host
		}
	}
	e.host = host
	return strings.TrimLeft(after, " "), true
}

// cutPriority reads "<N>", -1 without one.
func cutPriority(s string) (rest string, priority int) {
	if len(s) > 2 && s[0] == '<' {
		if i := strings.IndexByte(s[:min(len(s), 5)], '>'); i > 0 {
			if n, ok := number(s[1:i], 191); ok {
				return s[i+1:], int(n)
			}
		}
	}
	return s, -1
}

// header5424 reads the header of RFC 5424 behind its version.
func (e *entry) header5424(s string) (rest string, ok bool) {
	var when, host, program, pid, id string
	when, rest = token(s)
	host, rest = token(rest)
	program, rest = token(rest)
	pid, rest = token(rest)
	id, rest = token(rest)
	rest, ok = cutStructured(rest)
	if !ok {
		return s, false
	}
	if after, dated := e.stamp.cut(when); when != "-" && (!dated || after != "") {
		return s, false
	}
	rest = strings.TrimPrefix(rest, "\ufeff")
	e.host, e.messageID = unless(host, "-"), unless(id, "-")
	if program != "-" {
		e.setProgram(program)
		e.pid, e.message = unless(pid, "-"), rest
	}
	return rest, when != "-"
}

func unless(s, nothing string) string {
	if s == nothing {
		return ""
	}
	return s
}

// cutStructured takes structured data off, in which only a quoted value may hold "]" and, behind a backslash, quotes.
func cutStructured(s string) (rest string, ok bool) {
	if s == "-" {
		return "", true
	}
	if rest, ok = strings.CutPrefix(s, "- "); ok {
		return rest, true
	}
	for ok = false; strings.HasPrefix(s, "["); ok = true {
		end, quoted := 0, false
		for i := 1; i < len(s) && end == 0; i++ {
			switch c := s[i]; {
			case quoted && c == '\\':
				i++
			case c == '"':
				quoted = !quoted
			case !quoted && c == ']':
				end = i + 1
			}
		}
		if end == 0 {
			return s, false
		}
		s = s[end:]
	}
	rest, blank := strings.CutPrefix(s, " ")
	return rest, ok && (blank || s == "")
}

const maxTag = 100

// cutTag splits "program[pid]: message".
func cutTag(s string) (program, pid, message string, ok bool) {
	for i := 0; i < len(s) && i < maxTag; i++ {
		switch c := s[i]; {
		case c == '[':
			end := strings.IndexByte(s, ']')
			if end < i || i == 0 {
				return "", "", "", false
			}
			program, pid = s[:i], s[i+1:end]
			message, _ = strings.CutPrefix(s[end+1:], ":")
			rest, blank := strings.CutPrefix(message, " ")
			return program, pid, rest, blank || message == ""
		case c == ':' && (i+1 == len(s) || s[i+1] == ' '):
			return s[:i], "", s[min(i+2, len(s)):], i > 0
		case c == ' ':
			// Only around parentheses: "su (pam_unix)[1]:", "( sudo ):".
			if i == 0 || i+1 == len(s) || s[i-1] != '(' && s[i+1] != '(' && s[i+1] != ')' {
				return "", "", "", false
			}
		case c < ' ' || c == 0x7f:
			return "", "", "", false
		}
	}
	return "", "", "", false
}

// cutProgram reads the program's tag and leaves the message in e.
func (e *entry) cutProgram(s string) bool {
	program, pid, message, ok := cutTag(s)
	if !ok {
		// busybox and OpenWrt write "auth.info" before the tag.
		level, rest := token(s)
		if !strings.Contains(level, ".") {
			return false
		}
		if program, pid, message, ok = cutTag(rest); !ok {
			return false
		}
	}
	e.setProgram(program)
	e.pid, e.message = pid, message
	return e.program != ""
}

// setProgram takes "(sudo)" as sudo, and "su(pam_unix)" as su with a PAM module.
func (e *entry) setProgram(s string) {
	if i := strings.IndexByte(s, '('); i >= 0 {
		inner := strings.Trim(s[i+1:], " )")
		if s = strings.Trim(s[:i], " "); s == "" {
			s = inner
		} else {
			e.module = inner
		}
	}
	e.program, e.base = s, s[strings.LastIndexByte(s, '/')+1:]
	switch e.base {
	case "sshd-session", "sshd-auth":
		e.family = "sshd"
	case "CRON", "crond", "CROND", "anacron":
		e.family = "cron"
	default:
		e.family = e.base
	}
}

// cut reads one of "Nov 23 18:12:01", "Nov  3 2023 18:12:01.123", "2023-07-10T12:40:00.123456+02:00" and
// "Mon 2023-07-10 12:40:00 UTC" and returns what follows behind blanks.
func (t *stamp) cut(s string) (rest string, ok bool) {
	if rest, ok = t.cutMonth(s); !ok {
		if len(s) > 4 && s[3] == ' ' && strings.Contains("Mon Tue Wed Thu Fri Sat Sun", s[:3]) {
			s = s[4:]
		}
		if rest, ok = t.cutDate(s); !ok {
			if rest, ok = t.cutMonth(s); !ok {
				return s, false
			}
		}
	}
	if rest, ok = t.cutClock(rest); !ok {
		return s, false
	}
	if rest, ok = t.cutZone(rest); !ok {
		return s, false
	}
	if t.year < 0 && len(rest) > 5 && rest[0] == ' ' && rest[5] == ' ' && year(rest[1:]) >= 1970 && year(rest[1:]) <= 9999 {
		t.year, rest = year(rest[1:]), rest[5:]
	}
	after := strings.TrimLeft(rest, " ")
	return after, len(after) < len(rest) || rest == ""
}

func (t *stamp) cutDate(s string) (rest string, ok bool) {
	if len(s) < 11 || s[4] != '-' || s[7] != '-' || s[10] != 'T' && s[10] != 't' && s[10] != ' ' {
		return s, false
	}
	t.year, t.month, t.day = year(s), two(s[5:]), two(s[8:])
	return s[11:], t.year <= 9999
}

func (t *stamp) cutMonth(s string) (rest string, ok bool) {
	if len(s) < 7 || s[3] != ' ' {
		return s, false
	}
	if t.month = month(s[:3]); t.month == 0 {
		return s, false
	}
	switch t.year, s = -1, s[4:]; {
	case s[0] == ' ' && s[1]-'0' <= 9: // " 3"
		t.day, s = int(s[1]-'0'), s[2:]
	case s[0]-'0' <= 9 && s[1] == ' ': // "3"
		t.day, s = int(s[0]-'0'), s[1:]
	default:
		t.day, s = two(s), s[2:]
	}
	if s == "" || s[0] != ' ' {
		return s, false
	}
	if s = s[1:]; len(s) > 5 && s[4] == ' ' && year(s) <= 9999 {
		t.year, s = year(s), s[5:]
	}
	return s, t.day <= 31
}

func (t *stamp) cutClock(s string) (rest string, ok bool) {
	if len(s) < 8 || s[2] != ':' || s[5] != ':' {
		return s, false
	}
	t.hour, t.min, t.sec = two(s), two(s[3:]), two(s[6:])
	rest = s[8:]
	if len(rest) > 1 && (rest[0] == '.' || rest[0] == ',') {
		n, unit := 1, 100
		for ; n < len(rest) && rest[n]-'0' <= 9; n++ {
			t.millis += int(rest[n]-'0') * unit
			unit /= 10
		}
		if n == 1 {
			return s, false
		}
		rest = rest[n:]
	}
	return rest, t.hour <= 23 && t.min <= 59 && t.sec <= 60 // 60 is a leap second
}

func (t *stamp) cutZone(s string) (rest string, ok bool) {
	switch {
	case strings.HasPrefix(s, "Z"), strings.HasPrefix(s, "z"):
		t.zoned = true
		return s[1:], true
	case strings.HasPrefix(s, " UTC "), strings.HasPrefix(s, " GMT "):
		t.zoned = true
		return s[4:], true
	case len(s) < 3 || s[0] != '+' && s[0] != '-':
		return s, true
	}
	hours, minutes, rest := two(s[1:]), 0, s[3:]
	if colon := strings.TrimPrefix(rest, ":"); len(colon) >= 2 && colon[0] != ' ' {
		minutes, rest = two(colon), colon[2:]
	}
	t.zoned, t.offset = true, hours*3600+minutes*60
	if s[0] == '-' {
		t.offset = -t.offset
	}
	return rest, hours <= 23 && minutes <= 59
}

// two reads two digits; what is none is far out of every range.
func two(s string) int {
	if len(s) < 2 || s[0]-'0' > 9 || s[1]-'0' > 9 {
		return 1 << 20
	}
	return int(s[0]-'0')*10 + int(s[1]-'0')
}

// year reads four digits; what is none is above 9999.
func year(s string) int { return two(s)*100 + two(s[2:]) }

func month(s string) int {
	switch s {
	case "Jan":
		return 1
	case "Feb":
		return 2
	case "Mar":
		return 3
	case "Apr":
		return 4
	case "May":
		return 5
	case "Jun":
		return 6
	case "Jul":
		return 7
	case "Aug":
		return 8
	case "Sep":
		return 9
	case "Oct":
		return 10
	case "Nov":
		return 11
	case "Dec":
		return 12
	}
	return 0
}

const (
	dayMillis = 24 * 60 * 60 * 1000
	minMillis = -62167219200000 // the start of the year 0
	maxMillis = 253402300799999 // the end of the year 9999
)

// latest finds the last year, going back from year, in which t is no later than limit; the 29th of February finds the
// last leap year.
func (t *stamp) latest(limit int64, year int, zone *time.Location) (int64, error) {
	for range 9 { // between 1896 and 1904 is no leap year
		if ms, err := t.in(year, zone); err == nil && ms <= limit {
			return ms, nil
		}
		year--
	}
	return 0, errBadTime
}

// in gives t in a year; it fails for days that the year has not.
func (t *stamp) in(year int, zone *time.Location) (int64, error) {
	if t.month < 1 || t.month > 12 || t.day < 1 || t.day > 31 || t.day > daysIn(year, t.month) {
		return 0, errBadTime
	}
	var ms int64
	if t.zoned || zone == time.UTC {
		ms = (days(year, t.month, t.day)*86400+int64(t.hour*3600+t.min*60+t.sec-t.offset))*1000 + int64(t.millis)
	} else {
		ms = time.Date(year, time.Month(t.month), t.day, t.hour, t.min, t.sec, t.millis*1e6, zone).UnixMilli()
	}
	if ms < minMillis || ms > maxMillis {
		return 0, errBadTime
	}
	return ms, nil
}

func daysIn(year, month int) int {
	if month == 2 {
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 30 + (month+month>>3)&1
}

// days counts from 1970 to a date of the proleptic Gregorian calendar, the year beginning in March.
func days(year, month, day int) int64 {
	if month <= 2 {
		year, month = year-1, month+12
	}
	era := year / 400
	if year < 0 {
		era = -1
	}
	ofEra := year - era*400
	ofYear := (153*(month-3)+2)/5 + day - 1
	return int64(era*146097 + ofEra*365 + ofEra/4 - ofEra/100 + ofYear - 719468)
}
