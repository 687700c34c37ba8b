package cloudtrail

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"unicode/utf8"

	"stepsiem/shared/address"
	"stepsiem/shared/event"
)

// has reports whether the record has more than an empty text there.
func (p *parser) has(s slot) bool {
	v := &p.values[s]
	return v.kind != none && (v.kind != text || v.end > v.start)
}

// first returns the first of list that the record has, else the first.
func (p *parser) first(list ...slot) slot {
	for _, s := range list {
		if p.has(s) {
			return s
		}
	}
	return list[0]
}

// text returns a value as it stands inside the quotes of a JSON string; nil for objects and arrays.
func (p *parser) text(s slot) []byte {
	v := &p.values[s]
	switch v.kind {
	case text, word:
		if v.ready && v.end-v.start <= maxText {
			return p.scan.in[v.start:v.end]
		}
		return event.AppendEscaped(nil, p.scan.decode(v.span, maxText))
	case quote:
		return p.parts[v.start+1 : v.end-1]
	}
	return nil
}

// time finds @timestamp.
func (p *parser) time() (int64, error) {
	if p.values[eventTime].kind == none {
		return 0, errors.New("no eventTime")
	}
	read, t := parseTime, p.text(eventTime)
	if p.values[eventTime].kind == word {
		read = parseMillis
	}
	ms, ok := read(t)
	if !ok {
		return 0, fmt.Errorf("impossible eventTime %.64q", t)
	}
	return ms, nil
}

// sane reports whether an eventID can be a document's id.
func sane(id []byte) bool {
	if len(id) < 8 || len(id) > 64 {
		return false
	}
	for _, c := range id {
		if !idByte[c] {
			return false
		}
	}
	return true
}

var idByte = func() (t [256]bool) {
	for _, c := range []byte("-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") {
		t[c] = true
	}
	return t
}()

// event writes the members of event and closes it.
func (p *parser) event(d *event.Doc, record []byte) {
	b := append(d.Buf, `,"kind":"event","module":"aws"`...)
	if len(d.ID) == 0 && d.Origin == nil {
		b = p.member(b, `"id":`, eventID, keyword)
	}
	source, name := p.first(eventSource, insightSource), p.first(eventName, insightName)
	b = p.member(b, `"provider":`, source, keyword)
	b = p.member(b, `"action":`, name, keyword)
	failed := p.failed()
	outcome, cat, typ, why := "success", "", "", ""
	switch categoryName := p.text(eventCategory); {
	case string(categoryName) == "Insight" || string(p.text(eventType)) == "AwsCloudTrailInsight":
		outcome, cat, typ = "unknown", detection, `["info"`
	default:
		read, known := p.truth(readOnly)
		if !known {
			read = reads(p.text(name))
		}
		if cat = category(p.text(source), p.text(name), read); string(categoryName) == "NetworkActivity" {
			cat = network
		}
		typ = action(p.text(name), cat, read)
		if failed {
			outcome = "failure"
		}
		switch {
		case failed && denied(p.text(errorCode)):
			why = `,"denied"`
		case failed:
			why = `,"error"`
		}
	}
	b = append(append(b, `,"outcome":"`...), outcome...)
	b = append(append(b, `","category":`...), cat...)
	b = append(append(b, `,"type":`...), typ...)
	b = append(append(b, why...), ']')
	d.Buf = b
	d.Original(record)
	d.Buf = append(d.Buf, '}')
}

// failed reports whether the call did not do what was asked. Some services set the error code "200" on success, and a
// failed login has its result among the response elements.
func (p *parser) failed() bool {
	switch {
	case string(p.text(consoleLogin)) == "Failure", string(p.text(otherLogin)) == "Failure":
		return true
	case p.has(errorCode):
		return string(p.text(errorCode)) != "200"
	}
	return p.has(errorMessage)
}

// truth reads a boolean, also from its text.
func (p *parser) truth(s slot) (value, known bool) {
	switch string(p.text(s)) {
	case "true":
		return true, true
	case "false":
		return false, true
	}
	return false, false
}

// entities writes cloud, source, user_agent, user and error.
func (p *parser) entities(d *event.Doc) {
	b := append(d.Buf, `,"cloud":{"provider":"aws"`...)
	b = p.member(b, `"region":`, awsRegion, keyword)
	b = p.wrap(b, `"account":{`, `"id":`, p.first(recipientAccount, accountID))
	b = append(b, '}')
	if p.values[sourceIP].kind != none {
		b = append(b, `,"source":{`...)
		b = p.member(b, `"address":`, sourceIP, keyword)
		if a, ok := firstAddress(p.text(sourceIP)); ok {
			b = append(b, `,"ip":"`...)
			b = append(a.AppendTo(b), '"')
			d.Buf = b
			d.MarkSource(a)
		}
		b = append(b, '}')
	}
	b = p.wrap(b, `"user_agent":{`, `"original":`, userAgent)
	b = p.user(b)
	b, start := open(b, `"error":{`)
	b = p.member(b, `"code":`, errorCode, keyword)
	b = p.member(b, `"message":`, errorMessage, keyword)
	d.Buf = end(b, start)
}

// firstAddress finds the first address of a list such as "192.0.2.1, 198.51.100.7".
func firstAddress(list []byte) (a netip.Addr, ok bool) {
	for more := true; more && !ok; {
		var one []byte
		one, list, more = bytes.Cut(list, []byte(","))
		if one = bytes.TrimSpace(one); !bytes.ContainsFunc(one, foreign) {
			a, ok = address.Parse(one)
		}
	}
	return a, ok
}

// foreign reports whether no address holds r; to ask saves making an error for every "s3.amazonaws.com".
func foreign(r rune) bool {
	return r != '.' && r != ':' && (r < '0' || r > '9') && (r|0x20 < 'a' || r|0x20 > 'f')
}

// user writes who called: the name people know, and the id that stays when names change.
func (p *parser) user(b []byte) []byte {
	b, start := open(b, `"user":{`)
	arn := p.text(identityARN)
	switch name := p.first(userName, issuerName); {
	case string(p.text(identityType)) == "Root":
		b = append(b, `"name":"root"`...)
	case p.has(name):
		b = p.member(b, `"name":`, name, keyword)
	case bytes.Contains(arn, []byte(":assumed-role/")):
		b = append(b, `"name":"`...)
		b = append(b, arn[bytes.LastIndexByte(arn, '/')+1:]...)
		b = append(b, '"')
	case p.has(onBehalfOfUser):
		b = p.member(b, `"name":`, onBehalfOfUser, keyword)
	}
	if id := p.first(principalID, onBehalfOfUser); p.has(id) {
		b = p.member(b, `"id":`, id, keyword)
	}
	return end(b, start)
}

// details writes aws.cloudtrail.
func (p *parser) details(b []byte) []byte {
	b = append(b, `{"cloudtrail":{`...)
	b = p.members(b, layout)
	b = p.members(b, promoted)
	if len(p.unknown) > 0 {
		b = p.extra(b)
	}
	return append(b, "}},"...)
}

func (p *parser) members(b []byte, l *level) []byte {
	for i := range l.fields {
		switch f := &l.fields[i]; {
		case f.sub != nil && f.out == "":
			b = p.members(b, f.sub)
		case f.sub != nil:
			var start int
			b, start = open(b, f.out)
			b = end(p.members(b, f.sub), start)
		case f.out != "":
			b = p.member(b, f.out, f.slot, f.rule)
		}
	}
	return b
}

// extra writes the members that no level knows, under their paths.
func (p *parser) extra(b []byte) []byte {
	s := &p.scan
	s.objects++
	object := s.objects
	b, first := open(b, `"extra":{`)
	for _, u := range p.unknown {
		start := len(b)
		b = comma(b)
		name := span{start: len(b)}
		b = append(append(b, '"'), u.path...)
		b = append(event.AppendEscaped(b, s.decode(u.name, maxKey)), '"')
		if name.end = len(b); !s.fresh(b, name, 0, object) {
			b = b[:start]
			continue
		}
		s.pos = u.at
		b, _ = s.copyValue(append(b, ':'), 1) // read has accepted it
	}
	return end(b, first)
}

// member writes one member of the object that b ends in, or nothing when there is no value or it does not fit the rule.
func (p *parser) member(b []byte, name string, s slot, r rule) []byte {
	v := &p.values[s]
	if v.kind == none {
		return b
	}
	if r == boolean {
		if value, known := p.truth(s); known {
			b = append(comma(b), name...)
			b = strconv.AppendBool(b, value)
		}
		return b
	}
	b = append(comma(b), name...)
	switch {
	case v.kind == quote:
		return append(b, p.parts[v.start:v.end]...)
	case v.kind != part:
		return p.scan.appendText(b, v.span, v.ready, maxText)
	}
	json := p.parts[v.start:v.end]
	switch {
	case r == keyword:
		t := append(p.scan.text[:0], json[:min(len(json), maxText+utf8.UTFMax)]...)
		p.scan.text = cut(t, maxText)
		return event.AppendString(b, p.scan.text)
	case v.ready:
		return append(b, json...)
	}
	b = append(b, `{"value":`...)
	return append(append(b, json...), '}')
}

// wrap writes an object of one member.
func (p *parser) wrap(b []byte, outer, name string, s slot) []byte {
	b, start := open(b, outer)
	return end(p.member(b, name, s, keyword), start)
}

// open starts an object inside the object that b ends in; end closes it, or takes it back when it stayed empty.
func open(b []byte, name string) (_ []byte, start int) {
	start = len(b)
	return append(comma(b), name...), start
}

func end(b []byte, start int) []byte {
	if b[len(b)-1] == '{' {
		return b[:start]
	}
	return append(b, '}')
}

func comma(b []byte) []byte {
	if b[len(b)-1] == '{' {
		return b
	}
	return append(b, ',')
}
