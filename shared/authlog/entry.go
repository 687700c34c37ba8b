package authlog

import (
	"strings"

	"stepsiem/shared/address"
	"stepsiem/shared/event"
)

// entry is what one line says; its strings look into the line. What is "" is not in the document.
type entry struct {
	stamp     stamp
	time      int64
	priority  int // -1 without one
	messageID string
	host      string

	program, base, family string // as written; without its folder; as its messages are known
	pid                   string
	module, service       string // of PAM
	message               string

	class       *class
	beforeLogin bool   // sshd says so
	repeated    string // digits
	reason      string

	user, userID           string // who acts or logs in
	effective, effectiveID string // whose rights are taken on
	target                 string // whose account is changed
	targetID               string
	group, groupID         string

	address string
	port    string // digits

	command, folder, terminal string

	method, keyType, fingerprint              string
	certificate, certificateSerial, authority string
}

// class is what kind of event a message tells of.
type class struct {
	members string // of event, from kind to code
	code    string // "" is the program's name, or SSHDefault: not in members
}

// newClass takes lists as "a,b".
func newClass(category, types, action, outcome, code string) *class {
	list := func(s string) string { return `["` + strings.ReplaceAll(s, ",", `","`) + `"]` }
	members := `,"kind":"event","category":` + list(category) + `,"type":` + list(types) +
		`,"action":"` + action + `","outcome":"` + outcome + `",`
	if code != "" {
		members += `"code":"` + code + `",`
	}
	return &class{members, code}
}

var generic = newClass("host", "info", "message", "unknown", "")

// writer appends members, each behind its key and with a comma after it.
type writer struct {
	buf   []byte
	plain bool // nothing in the line needs escaping
}

// text writes a string behind its key, which ends with the opening quote.
func (w *writer) text(key, value string) {
	if value != "" {
		w.put(key, value)
	}
}

func (w *writer) put(key, value string) {
	w.buf = append(w.append(append(w.buf, key...), value), `",`...)
}

// append appends the inside of a string.
func (w *writer) append(b []byte, s string) []byte {
	if w.plain {
		return append(b, s...)
	}
	return event.AppendEscaped(b, raw(s))
}

// number writes digits behind a key.
func (w *writer) number(key, digits string) {
	w.buf = append(append(append(w.buf, key...), digits...), ',')
}

// end closes an object that has members.
func (w *writer) end() {
	w.buf[len(w.buf)-1] = '}'
	w.buf = append(w.buf, ',')
}

const maxPID = 1<<32 - 1

// write appends the document.
func (p *parser) write(d *event.Doc, line string) {
	e := &p.entry
	d.BeginLog(e.time, p.log())
	w := writer{plain: event.Plain(raw(line))}
	b := append(d.Buf, e.class.members...)
	if e.class.code == "" {
		code := e.program
		if e.family == "sshd" {
			code = sshDefault.code
		}
		b = append(w.append(append(b, `"code":"`...), code), `",`...)
	}
	if e.reason != "" {
		b = append(w.append(append(b, `"reason":"`...), e.reason), `",`...)
	}
	b = w.append(append(b, `"original":"`...), line)
	b = w.append(append(b, `"},"message":"`...), e.message)
	b = append(b, `",`...)
	if e.host != "" {
		b = append(w.append(append(b, `"host":{"hostname":"`...), e.host), `"},`...)
	}
	w.buf = w.append(append(b, `"process":{"name":"`...), e.program)
	w.buf = append(w.buf, `",`...)
	e.writeProcess(&w)
	e.writeUser(&w)
	d.Buf = w.buf
	e.writeSource(&w, d)
	e.writeSSH(&w)
	if d.Origin != nil && d.Origin.Owner != "" {
		w.buf = append(w.buf, `"cloud":{"provider":"aws","account":{"id":`...)
		w.buf = append(event.AppendString(w.buf, raw(d.Origin.Owner)), "}},"...)
	}
	d.Buf = w.buf
	d.Labels()
	ssh := `,"ssh":false`
	if e.family == "sshd" {
		ssh = `,"ssh":true`
	}
	d.Buf = append(d.Buf, ssh...)
	if e.repeated != "" {
		d.Buf = append(append(d.Buf, `,"repeated":`...), e.repeated...)
	}
	d.Buf = append(d.Buf, "}}"...)
}

// log is log.syslog, when the line has a priority.
func (p *parser) log() []byte {
	e := &p.entry
	if e.priority < 0 {
		return nil
	}
	b := append(p.syslog[:0], `,"syslog":{"priority":`...)
	b = event.AppendInt(b, int64(e.priority))
	b = event.AppendInt(append(b, `,"facility":{"code":`...), int64(e.priority>>3))
	b = event.AppendInt(append(b, `},"severity":{"code":`...), int64(e.priority&7))
	b = append(b, '}')
	if e.messageID != "" {
		b = event.AppendString(append(b, `,"msgid":`...), raw(e.messageID))
	}
	p.syslog = append(b, '}')
	return p.syslog
}

// writeProcess ends the open process.
func (e *entry) writeProcess(w *writer) {
	if _, ok := number(e.pid, maxPID); ok {
		w.number(`"pid":`, e.pid)
	}
	w.text(`"command_line":"`, e.command)
	w.text(`"working_directory":"`, e.folder)
	if e.terminal != "" {
		w.text(`"tty":{"name":"`, e.terminal)
		w.end()
	}
	w.end()
}

func (e *entry) writeUser(w *writer) {
	if e.user != "" || e.effective != "" || e.target != "" {
		w.buf = append(w.buf, `"user":{`...)
		w.text(`"name":"`, e.user)
		w.text(`"id":"`, e.userID)
		e.writeOther(w, `"effective":{"name":"`, e.effective, e.effectiveID)
		e.writeOther(w, `"target":{"name":"`, e.target, e.targetID)
		w.end()
	}
	if e.group != "" || e.groupID != "" {
		w.buf = append(w.buf, `"group":{`...)
		w.text(`"name":"`, e.group)
		w.text(`"id":"`, e.groupID)
		w.end()
	}
}

func (e *entry) writeOther(w *writer, key, name, id string) {
	if name != "" {
		w.text(key, name)
		w.text(`"id":"`, id)
		w.end()
	}
}

// writeSource appends the peer: source.ip only for an address, source.domain for what may be a host's name.
func (e *entry) writeSource(w *writer, d *event.Doc) {
	if e.address == "" {
		return
	}
	w.text(`"source":{"address":"`, e.address)
	if e.port != "" {
		w.number(`"port":`, e.port)
	}
	bare := e.address
	ip, ok := address.Parse(raw(bare))
	if !ok {
		bare, _, _ = strings.Cut(bare, "%") // the zone
		ip, ok = address.Parse(raw(bare))
	}
	if ok {
		w.buf = append(w.buf, `"ip":"`...)
		if strings.IndexByte(bare, ':') < 0 {
			w.buf = append(w.buf, bare...) // IPv4 has one form
		} else {
			w.buf = ip.AppendTo(w.buf)
		}
		w.buf = append(w.buf, '"')
		d.Buf = w.buf
		d.MarkSource(ip)
		w.buf = append(w.buf, ',')
	} else if hostname(e.address) {
		w.text(`"domain":"`, e.address)
	}
	w.end()
}

// hostname reports whether s can be the name of a host; sshd's UNKNOWN is none.
func hostname(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c|0x20 >= 'a' && c|0x20 <= 'z', c >= '0' && c <= '9', c == '.', c == '-', c == '_':
		default:
			return false
		}
	}
	return s != "UNKNOWN" && len(s) <= 253
}

func (e *entry) writeSSH(w *writer) {
	if e.method == "" && e.keyType == "" {
		return
	}
	w.buf = append(w.buf, `"ssh":{`...)
	w.text(`"method":"`, e.method)
	w.text(`"key_type":"`, e.keyType)
	w.text(`"key_fingerprint":"`, e.fingerprint)
	w.text(`"certificate_id":"`, e.certificate)
	w.text(`"certificate_serial":"`, e.certificateSerial)
	w.text(`"certificate_authority":"`, e.authority)
	w.end()
}
