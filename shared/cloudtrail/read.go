package cloudtrail

import "bytes"

// read scans the whole record into values, parts and unknown.
func (p *parser) read(in []byte) error {
	s := &p.scan
	s.reset(in)
	p.values, p.parts, p.unknown = [slots]value{}, p.parts[:0], p.unknown[:0]
	if s.peek() != '{' {
		return s.fail("no object")
	}
	if err := p.object(layout, 0); err != nil {
		return err
	}
	if s.peek(); s.pos != len(in) {
		return s.fail("text behind the object")
	}
	return nil
}

// object reads an object whose members are known.
func (p *parser) object(l *level, depth int) error {
	s, guess := &p.scan, 0
	more, err := s.enter('}', depth)
	for more {
		name, ready, err := s.key()
		if err != nil {
			return err
		}
		key := s.in[name.start:name.end]
		if !ready {
			key = s.decode(name, maxKey)
		}
		f := l.find(key, &guess)
		switch c := s.peek(); {
		case c == 'n':
			_, err = s.literal()
		case f == nil || f.sub != nil && c != '{':
			p.unknown = append(p.unknown, unknown{l.path, name, s.pos})
			start := len(p.parts)
			p.parts, err = s.copyValue(p.parts, depth+1)
			p.parts = p.parts[:start]
		case f.sub != nil:
			err = p.object(f.sub, depth+1)
		default:
			err = p.keep(f, depth+1)
		}
		if err != nil {
			return err
		}
		if more, err = s.next('}'); err != nil {
			return err
		}
	}
	return err
}

// keep reads the value of a known member, and notes it unless the member has one already.
func (p *parser) keep(f *field, depth int) (err error) {
	s, start, known := &p.scan, len(p.parts), p.values[f.slot].kind != none
	v := value{ready: true}
	switch c := s.peek(); {
	case c == '{':
		list := promotions[f.slot]
		if known {
			list = nil
		}
		v.kind = part
		p.parts, err = s.copyObject(p.parts, depth, func(dst []byte, name, place span) {
			p.promote(dst, list, name, place)
		})
	case c == '[':
		v.kind = part
		p.parts, v.ready, err = s.copyArray(p.parts, depth)
	case f.rule == flat:
		v.kind, v.ready = part, false
		p.parts, err = s.copyValue(p.parts, depth)
	case c == '"':
		v.kind = text
		v.span, v.ready, err = s.str()
	case c == '-' || c-'0' <= 9:
		v.kind = word
		v.span, err = s.number()
	default:
		v.kind = word
		v.span, err = s.literal()
	}
	switch {
	case err != nil || known:
		p.parts = p.parts[:start]
		return err
	case v.kind == part:
		v.span = span{start, len(p.parts)}
		p.promote(p.parts, promotions[f.slot], span{}, v.span)
	}
	p.values[f.slot] = v
	return nil
}

// promote looks for what is wanted of a member just written.
func (p *parser) promote(dst []byte, list []promotion, name, place span) {
	for i := range list {
		want := &list[i]
		if p.values[want.slot].kind != none || string(dst[name.start:name.end]) != want.member {
			continue
		}
		at := place.start
		if want.first != "" {
			// Canonical JSON: quotes inside texts are escaped, so this finds names only.
			n := bytes.Index(dst[at:place.end], []byte(want.first))
			if n < 0 {
				continue
			}
			at += n + len(want.first)
		}
		if end := quoted(dst[:place.end], at); end > 0 {
			p.values[want.slot] = value{kind: quote, span: span{at, end}}
		}
	}
}

// quoted returns the end of the string that starts at b[at], 0 when none does.
func quoted(b []byte, at int) int {
	if at >= len(b) || b[at] != '"' {
		return 0
	}
	for i := at + 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return 0
}
