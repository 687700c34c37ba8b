// Package authlog reads what Unix systems log of logins and privileges: sshd, sudo, su, login, PAM, systemd-logind, cron,
// polkit and the account tools, in RFC 3164, RFC 5424 and ISO 8601 (rsyslog, journald) lines. Other programs' lines
// become documents too, without details.
//
// Text that an attacker chooses (user names above all) is never searched for meaning: a message is told by its start,
// and what stands around a user name is taken from the other end of the line. Where chosen text stands on both sides of an
// address and allows more than one reading, neither user nor address is stated.
//
// event.code keeps the original system's logType values:
//
//	SuccessfulLoginKey           Accepted publickey, hostbased, gssapi
//	SuccessfulLoginPassword      Accepted password, keyboard-interactive, none
//	FailedLogin                  Failed …, Invalid user, error: PAM: … for, User … not allowed, ROOT LOGIN REFUSED,
//	                             Authentication tried for
//	MaxAuthTries                 maximum authentication attempts exceeded
//	PossiblePortScanningAttempt  Did not receive identification string, Bad protocol version, Protocol major versions differ,
//	                             Unable to negotiate, kex_…, banner exchange, Received disconnect … [preauth]
//	ConnectionClosed             Connection closed or reset, Disconnected, Disconnecting, Received disconnect after the login,
//	                             Timeout, Read error, Too many authentication failures
//	SSHDefault                   every other line of sshd, its PAM lines among them (they repeat a Failed line)
//	sudo, su, useradd, CRON, …   the program's name
package authlog

import (
	"errors"
	"strings"
	"time"
	"unsafe"

	"stepsiem/shared/event"
	"stepsiem/shared/format"
)

// Config is what an operator can set.
type Config struct {
	Filter []Rule         // what is left out, and counted
	Zone   *time.Location // of timestamps that name none; nil is UTC
}

// Format implements format.Format for auth logs.
type Format struct {
	rules []Rule
	zone  *time.Location
}

// New makes the format. An empty filter leaves nothing out.
func New(c Config) *Format {
	if c.Zone == nil {
		c.Zone = time.UTC
	}
	return &Format{c.Filter, c.Zone}
}

// Type is "authlog".
func (f *Format) Type() string { return "authlog" }

// Framing is one record a line.
func (f *Format) Framing() format.Framing { return format.Lines }

// Sniff recognises a header followed by a program, or a program alone that this package knows.
func (f *Format) Sniff(record []byte) int {
	var e entry
	stamped, program := e.read(trim(text(record)))
	switch {
	case stamped && program && (known(e.family) || strings.HasPrefix(e.message, "pam_")):
		return 95
	case stamped && program:
		return 60
	case program && known(e.family):
		return 40
	}
	return 0
}

// Open starts a run of records.
func (f *Format) Open() format.Parser { return &parser{format: f} }

type parser struct {
	format *Format
	entry  entry
	syslog []byte // scratch

	reference int64 // milliseconds since 1970
	year      int   // a day after reference
}

var (
	errNoTime    = errors.New("no timestamp at the start of the line")
	errNoYear    = errors.New("timestamp without a year, and the object's time is not known")
	errBadTime   = errors.New("timestamp that no calendar has")
	errNoProgram = errors.New("no program before the message")
)

// Parse writes the document of one line; see format.Parser.
func (p *parser) Parse(record []byte, d *event.Doc) error {
	line := trim(text(record))
	if line == "" || line[0] <= ' ' && strings.TrimLeft(line, " \t") == "" {
		return event.ErrSkip
	}
	e := &p.entry
	*e = entry{}
	stamped, program := e.read(line)
	switch {
	case !stamped && d.Origin == nil:
		return errNoTime
	case !stamped:
		e.time = d.Origin.Time
	default:
		if err := p.resolve(d); err != nil {
			return err
		}
	}
	if !program {
		return errNoProgram
	}
	message := e.message
	if count, inner, ok := cutRepeated(message); ok {
		e.repeated, message = count, inner
	}
	message = strings.TrimLeft(message, " ")
	for i := range p.format.rules {
		if r := &p.format.rules[i]; r.match(e, message) {
			return r.reason
		}
	}
	e.understand(message)
	p.write(d, line)
	return nil
}

// read takes a line apart into header, program and message, and reports whether there are a timestamp and a program.
func (e *entry) read(line string) (stamped, program bool) {
	rest, stamped := e.header(line)
	switch {
	case e.program != "": // RFC 5424 names it
		return stamped, true
	case stamped:
		return stamped, e.cutProgram(rest)
	}
	return stamped, e.findProgram(rest)
}

// resolve finds the time of the entry's timestamp.
func (p *parser) resolve(d *event.Doc) (err error) {
	t := &p.entry.stamp
	if t.year >= 0 {
		p.entry.time, err = t.in(t.year, p.format.zone)
		return err
	}
	ref := reference(d)
	if ref == 0 {
		return errNoYear
	}
	if ref != p.reference {
		p.reference, p.year = ref, time.UnixMilli(ref+dayMillis).In(p.format.zone).Year()
	}
	p.entry.time, err = t.latest(ref+dayMillis, p.year, p.format.zone)
	return err
}

// reference is the time that gives a timestamp its year, in milliseconds; 0 when it is not known.
func reference(d *event.Doc) int64 {
	switch {
	case d.Origin != nil && d.Origin.Time != 0:
		return d.Origin.Time
	case d.Source == nil || d.Source.Time.IsZero():
		return 0
	}
	return d.Source.Time.UnixMilli()
}

// cutRepeated takes rsyslog's "message repeated N times: [ …]" off.
func cutRepeated(s string) (count, inner string, ok bool) {
	if s, ok = strings.CutPrefix(s, "message repeated "); !ok {
		return "", "", false
	}
	count, inner, ok = strings.Cut(s, " times: [")
	_, digits := number(count, 1<<31)
	return count, strings.TrimSuffix(inner, "]"), ok && digits
}

// understand finds out what message says, by the program that wrote it.
func (e *entry) understand(message string) {
	e.class = generic
	if e.family == "sshd" {
		e.class = sshDefault
	}
	if strings.HasPrefix(message, "pam_") {
		e.module, e.service, message = cutModule(message)
	}
	switch {
	case e.module != "":
		e.pam(message)
	case e.family == "sshd":
		e.sshd(message)
	default:
		if read := readers[e.family]; read != nil {
			read(e, message)
		}
	}
}

// readers are the programs known beside sshd.
var readers = map[string]func(*entry, string){
	"sudo": (*entry).sudo, "su": (*entry).su, "login": (*entry).login, "systemd-logind": (*entry).logind,
	"cron": (*entry).cron, "crontab": (*entry).cron,
	"pkexec": (*entry).pkexec, "polkitd": (*entry).polkit,
	"useradd": (*entry).account, "usermod": (*entry).account, "userdel": (*entry).account, "newusers": (*entry).account,
	"groupadd": (*entry).account, "groupmod": (*entry).account, "groupdel": (*entry).account, "groupmems": (*entry).account,
	"passwd": (*entry).account, "chpasswd": (*entry).account, "gpasswd": (*entry).account, "chgpasswd": (*entry).account,
	"chage": (*entry).account, "chfn": (*entry).account, "chsh": (*entry).account,
	"adduser": (*entry).account, "deluser": (*entry).account,
}

func known(family string) bool { return family == "sshd" || readers[family] != nil }

// trim takes a byte order mark and the line's end off.
func trim(s string) string {
	s = strings.TrimPrefix(s, "\ufeff")
	for s != "" && (s[len(s)-1] == '\r' || s[len(s)-1] == '\n') {
		s = s[:len(s)-1]
	}
	return s
}

// text and raw look at the same bytes as string and as slice; nothing here outlives the call or writes to them.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
func raw(s string) []byte  { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// number reads decimal digits up to limit, as programs print them: without leading zeros.
func number(s string, limit int64) (n int64, ok bool) {
	if s == "" || len(s) > 12 || s[0] == '0' && len(s) > 1 {
		return 0, false
	}
	for i := range len(s) {
		c := s[i] - '0'
		if c > 9 {
			return 0, false
		}
		n = n*10 + int64(c)
	}
	return n, n <= limit
}

// cutLast cuts s around its last blank; a text without one is all tail.
func cutLast(s string) (head, tail string) {
	i := strings.LastIndexByte(s, ' ')
	return s[:max(i, 0)], s[i+1:]
}

// token cuts s after its first word.
func token(s string) (word, rest string) {
	if i := strings.IndexByte(s, ' '); i >= 0 {
		return s[:i], s[i+1:]
	}
	return s, ""
}
