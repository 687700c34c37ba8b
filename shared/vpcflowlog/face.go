package vpcflowlog

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strings"

	"stepsiem/shared/event"
)

// face is an interface's ready JSON: what closes event, cloud, and aws.vpcflow up to where the flow's own members begin.
// It holds for every record of one plan whose identity fields have the same bytes.
type face struct {
	plan      *plan
	key, json []byte
}

const (
	faceBits   = 10 // a run keeps 2^faceBits interfaces
	maxFaceKey = 2 << 10
)

// face returns the ready JSON for line, building it when it is not the one kept.
func (p *parser) face(line []byte) ([]byte, error) {
	if p.faces == nil {
		p.faces = make([]face, 1<<faceBits)
	}
	i := p.hash(line)
	f := &p.faces[i]
	if f.plan == p.plan && p.same(line, f.key) {
		return f.json, nil
	}
	if f.plan != nil { // each place has a second choice, which gives way
		if f = &p.faces[i^1]; f.plan == p.plan && p.same(line, f.key) {
			return f.json, nil
		}
	}
	v, _, err := p.number(line, version, 1<<15-1)
	if err != nil {
		return nil, err
	}
	p.build(line, v, f)
	if len(f.key) > maxFaceKey {
		once := f.json
		*f = face{}
		return once, nil
	}
	return f.json, nil
}

func (p *parser) run(line []byte, r run) []byte { return line[p.ends[r.first]+1 : p.ends[r.last+1]] }

// hash mixes the last eight bytes of each run: that is where ids differ.
func (p *parser) hash(line []byte) uint64 {
	var h uint64
	for _, r := range p.plan.runs {
		to := int(p.ends[r.last+1])
		if to < 8 {
			continue
		}
		w := binary.LittleEndian.Uint64(line[to-8:])
		if n := to - int(p.ends[r.first]) - 1; n < 8 {
			w >>= 64 - 8*n
		}
		h = (h ^ w) * 0x9e3779b97f4a7c15
		h ^= h >> 29
	}
	return h >> (64 - faceBits)
}

// same compares the runs of line with key, in which a blank follows each.
func (p *parser) same(line, key []byte) bool {
	for _, r := range p.plan.runs {
		s := p.run(line, r)
		if len(key) <= len(s) || string(key[:len(s)]) != string(s) || key[len(s)] != ' ' {
			return false
		}
		key = key[len(s)+1:]
	}
	return len(key) == 0
}

func (p *parser) build(line, v []byte, f *face) {
	f.plan, f.key = p.plan, f.key[:0]
	for _, r := range p.plan.runs {
		f.key = append(append(f.key, p.run(line, r)...), ' ')
	}
	b := append(f.json[:0], `},"cloud":{"provider":"aws"`...)
	if s := p.text(line, accountID); s != nil {
		b = append(event.AppendString(append(b, `,"account":{"id":`...), s), '}')
	}
	b = word(b, `,"region":"`, p.text(line, region))
	b = word(b, `,"availability_zone":"`, p.text(line, azID))
	if s := p.text(line, instanceID); s != nil {
		b = append(event.AppendString(append(b, `,"instance":{"id":`...), s), '}')
	}
	b = append(b, `},"aws":{"vpcflow":{`...)
	at := len(b)
	b = number(b, `,"version":`, v)
	facts := p.facts(line)
	for _, id := range identity[1:] {
		s := p.text(line, id)
		if id == vpcID && s == nil {
			s = []byte(facts.VPC)
		}
		b = word(b, memberKeys[id], s)
	}
	for i, g := range facts.SecurityGroups {
		if i == 0 {
			b = append(b, `,"security_groups":[`...)
		} else {
			b = append(b, ',')
		}
		b = event.AppendString(b, []byte(g))
	}
	if len(facts.SecurityGroups) > 0 {
		b = append(b, ']')
	}
	f.json = open(b, at)
}

func (p *parser) facts(line []byte) Interface {
	id := p.text(line, interfaceID)
	if id == nil || p.config.ENI == nil {
		return Interface{}
	}
	facts, _ := p.config.ENI(string(id))
	return facts
}

// memberKeys holds `,"vpc_id":"` and so on.
var memberKeys = func() (keys [numFields]string) {
	for f, name := range names {
		keys[f] = `,"` + strings.ReplaceAll(name, "-", "_") + `":"`
	}
	return keys
}()

// extra appends the fields that are not documented.
func (p *parser) extra(b, line []byte) []byte {
	opened := false
	for _, e := range p.plan.extra {
		s := p.at(line, e.index)
		if s == nil {
			continue
		}
		if !opened {
			b, opened = append(b, `,"extra":{`...), true
		} else {
			b = append(b, ',')
		}
		b = append(event.AppendEscaped(append(b, e.key...), s), '"')
	}
	if opened {
		b = append(b, '}')
	}
	return b
}

// open blanks the comma that leads the first member of an object whose members begin at.
func open(b []byte, at int) []byte {
	if at < len(b) {
		b[at] = ' '
	}
	return b
}

// word appends a text member unless s is empty; key ends with the opening quote.
func word(b []byte, key string, s []byte) []byte {
	if len(s) == 0 {
		return b
	}
	b = append(b, key...)
	if event.Plain(s) {
		b = short(b, s)
	} else {
		b = event.AppendEscaped(b, s)
	}
	return append(b, '"')
}

// number appends a checked number unless it is absent.
func number(b []byte, key string, s []byte) []byte {
	if s == nil {
		return b
	}
	return short(append(b, key...), s)
}

// short appends s, which seldom has more than 16 bytes: sixteen are copied at once whatever the length, as lengths can't
// be predicted.
func short(b, s []byte) []byte {
	n := len(b)
	if len(s) > 16 || cap(s) < 16 || cap(b)-n < 16 {
		return append(b, s...)
	}
	copy(b[n:n+16], s[:16])
	return b[:n+len(s)]
}

// ip appends an address in canonical form unless it is absent; key ends with the opening quote.
func ip(b []byte, key string, s []byte, a netip.Addr) []byte {
	if s == nil {
		return b
	}
	b = append(b, key...)
	if a.Is4() && bytes.IndexByte(s, ':') < 0 {
		b = short(b, s)
	} else {
		b = a.AppendTo(b)
	}
	return append(b, '"')
}
