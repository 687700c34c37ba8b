// Package join puts the facts about addresses into documents, and documents into bulk bodies.
package join

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"

	"github.com/klauspost/compress/s2"

	"stepsiem/shared/batch"
	"stepsiem/shared/blob"
	"stepsiem/shared/event"
	"stepsiem/shared/fault"
	"stepsiem/shared/indicator"
)

// Facts are the answers for a chunk's addresses, by their number.
type Facts struct {
	Geo     [][]byte                   // JSON members, each led by a comma; empty where nothing is known
	Threat  map[int32]*indicator.Match // the addresses that are indicators
	Version string                     // of the indicator set; "" without one, and then documents have no threat member

	index   []byte // the last action line up to the id, and what it was for
	typ     string
	day     int64
	unknown []byte // the threat member of a document without a match
}

// AppendDocument appends r's document with its facts.
func (f *Facts) AppendDocument(dst []byte, c *event.Chunk, r *event.Record) []byte {
	doc := c.Doc(r)
	if len(f.Geo) == 0 && f.Version == "" {
		return append(dst, doc...)
	}
	first, second := r.Source, r.Destination
	if second.Mark < first.Mark {
		first, second = second, first
	}
	dst = append(dst, doc[:first.Mark]...)
	dst = append(dst, f.geo(first.Addr)...)
	dst = append(dst, doc[first.Mark:second.Mark]...)
	dst = append(dst, f.geo(second.Addr)...)
	dst = append(dst, doc[second.Mark:len(doc)-1]...)
	if f.Version != "" {
		dst = f.appendThreat(dst, r)
	}
	return append(dst, '}')
}

func (f *Facts) geo(n int32) []byte {
	if n < 0 || int(n) >= len(f.Geo) {
		return nil
	}
	return f.Geo[n]
}

func (f *Facts) appendThreat(dst []byte, r *event.Record) []byte {
	var src, dest *indicator.Match
	if len(f.Threat) > 0 {
		src, dest = f.match(r.Source.Addr), f.match(r.Destination.Addr)
	}
	if src != nil || dest != nil {
		return indicator.AppendFields(dst, f.Version, src, dest)
	}
	if f.unknown == nil {
		f.unknown = indicator.AppendFields(nil, f.Version, nil, nil)
	}
	return append(dst, f.unknown...)
}

func (f *Facts) match(n int32) *indicator.Match {
	if n < 0 {
		return nil
	}
	return f.Threat[n]
}

const dayMillis = 24 * 60 * 60 * 1000

// AppendItem appends r's two bulk lines: a create action with index and id, and the document.
func (f *Facts) AppendItem(dst []byte, typ string, c *event.Chunk, r *event.Record) []byte {
	if day := r.Time / dayMillis; f.index == nil || day != f.day || typ != f.typ {
		f.index = append(f.index[:0], `{"create":{"_index":"`+Index(typ, r.Time)+`","_id":"`...)
		f.typ, f.day = typ, day
	}
	dst = append(dst, f.index...)
	dst = append(dst, c.ID(r)...)
	dst = append(dst, "\"}}\n"...)
	dst = f.AppendDocument(dst, c, r)
	return append(dst, '\n')
}

// AppendUpdate appends two bulk lines that put f's threat member into r's document in place of the one it has.
func (f *Facts) AppendUpdate(dst []byte, typ string, c *event.Chunk, r *event.Record) []byte {
	dst = append(dst, `{"update":{"_index":"`+Index(typ, r.Time)+`","_id":"`...)
	dst = append(dst, c.ID(r)...)
	dst = append(dst, "\",\"retry_on_conflict\":5}}\n"...)
	dst = append(dst, `{"script":{"source":"ctx._source.threat = params.threat","params":{`...)
	dst = append(dst, f.appendThreat(nil, r)[1:]...) // without the leading comma
	return append(dst, "}}}\n"...)
}

// Index is the name of the index for documents of a type at ms since 1970.
func Index(typ string, ms int64) string { return "cwl-" + typ + "-" + event.Day(ms) }

// WriteAddresses stores a chunk's addresses, one a line.
func WriteAddresses(w io.Writer, list []netip.Addr) error {
	return lines(w, len(list), func(dst []byte, i int) []byte { return list[i].AppendTo(dst) })
}

// ReadAddresses reads what WriteAddresses stored.
func ReadAddresses(r io.Reader) (list []netip.Addr, err error) {
	err = eachLine(r, func(line []byte) error {
		a, err := netip.ParseAddr(string(line))
		list = append(list, a)
		return err
	})
	return list, err
}

// Addresses reads the addresses of a chunk from the work bucket, where Parse left them: without them is a bug.
func Addresses(ctx context.Context, from blob.Store, work string, c *batch.Chunk) ([]netip.Addr, error) {
	body, _, err := from.Get(ctx, work, batch.AddressesKey(c.Run, c.Chunk), "")
	if fault.Of(err) == fault.NotFound {
		return nil, fault.New(fault.Bug, "read addresses: %w", err)
	}
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return ReadAddresses(body)
}

// WriteGeo stores geo answers, a line for each address, empty where nothing is known.
func WriteGeo(w io.Writer, n int, appendFields func(dst []byte, i int) []byte) error {
	return lines(w, n, appendFields)
}

// ReadGeo reads what WriteGeo stored.
func ReadGeo(r io.Reader) (list [][]byte, err error) {
	err = eachLine(r, func(line []byte) error {
		list = append(list, append([]byte(nil), line...))
		return nil
	})
	return list, err
}

// numbered is a line of the threat answers.
type numbered struct {
	Number int32            `json:"n"`
	Match  *indicator.Match `json:"match"`
}

// WriteThreat stores the addresses that matched, by number.
func WriteThreat(w io.Writer, matches map[int32]*indicator.Match) error {
	zw := s2.NewWriter(w, s2.WriterConcurrency(1))
	enc := json.NewEncoder(zw)
	for n, m := range matches {
		if err := enc.Encode(numbered{n, m}); err != nil {
			return fmt.Errorf("write matches: %w", err)
		}
	}
	return zw.Close()
}

// ReadThreat reads what WriteThreat stored.
func ReadThreat(r io.Reader) (map[int32]*indicator.Match, error) {
	out := map[int32]*indicator.Match{}
	err := eachLine(r, func(line []byte) error {
		var n numbered
		err := json.Unmarshal(line, &n)
		out[n.Number] = n.Match
		return err
	})
	return out, err
}

func lines(w io.Writer, n int, appendLine func(dst []byte, i int) []byte) error {
	zw := s2.NewWriter(w, s2.WriterConcurrency(1))
	var line []byte
	for i := range n {
		line = append(appendLine(line[:0], i), '\n')
		if _, err := zw.Write(line); err != nil {
			return fmt.Errorf("write answers: %w", err)
		}
	}
	return zw.Close()
}

func eachLine(r io.Reader, f func([]byte) error) error {
	s := bufio.NewScanner(s2.NewReader(r))
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		if err := f(s.Bytes()); err != nil {
			return fmt.Errorf("read answers: %w", err)
		}
	}
	if err := s.Err(); err != nil {
		return fmt.Errorf("read answers: %w", err)
	}
	return nil
}

// Match looks addresses up in a set; the answer is by their number.
func Match(set *indicator.Set, addresses []netip.Addr) map[int32]*indicator.Match {
	out := map[int32]*indicator.Match{}
	for i, a := range addresses {
		if m, ok := set.Match(a); ok {
			out[int32(i)] = &m
		}
	}
	return out
}
