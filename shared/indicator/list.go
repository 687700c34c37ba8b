package indicator

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"path"
	"strconv"
	"strings"
	"time"

	"stepsiem/shared/address"
	"stepsiem/shared/fault"
)

// Limits of a plain list.
const (
	maxLine     = 4096 // bytes
	maxProblems = 100  // kept with their lines; all are counted
	// listed is the confidence of an address that a list merely names.
	listed = 50
	// perList is what each further list that agrees adds to the confidence (IPsum).
	perList = 10
)

// Why a line is no indicator.
const (
	notAddress     = "no address or prefix"
	tooShort       = "prefix shorter than /8 (IPv6: /16)"
	specialPurpose = "special-purpose addresses"
	extraText      = "text behind the address"
	longLine       = "line longer than 4096 bytes"
)

// Problems are the lines of a list that were left out.
type Problems struct {
	Counts map[string]int // by reason
	First  []Problem      // the first hundred
}

// Problem is one line that was left out.
type Problem struct {
	Line   int // from 1
	Reason string
}

func (p *Problems) add(line int, reason string) {
	if p.Counts == nil {
		p.Counts = map[string]int{}
	}
	p.Counts[reason]++
	if len(p.First) < maxProblems {
		p.First = append(p.First, Problem{line, reason})
	}
}

// Total is the number of lines left out.
func (p *Problems) Total() (n int) {
	for _, c := range p.Counts {
		n += c
	}
	return n
}

// String sums p up in one line, "" when there is none.
func (p *Problems) String() string {
	if len(p.First) == 0 {
		return ""
	}
	return fmt.Sprintf("%d lines left out, the first is line %d: %s", p.Total(), p.First[0].Line, p.First[0].Reason)
}

// ParseList reads a plain list, one address or prefix a line, as feed publishes it at seen (zero when that is not known).
// "#" and ";" start comments. A number behind the address is how many lists name it, as in IPsum: ten of confidence each.
// Lines that can't be indicators are left out and counted. The entries are sorted, those of one prefix merged.
// An error is the reader's.
func ParseList(r io.Reader, feed string, seen time.Time) ([]Entry, Problems, error) {
	var entries []Entry
	var problems Problems
	feeds := []string{feed}
	in := bufio.NewReaderSize(r, maxLine)
	for n := 1; ; n++ {
		line, err := in.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			problems.add(n, longLine)
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = in.ReadSlice('\n')
			}
		default:
			if n == 1 {
				line = bytes.TrimPrefix(line, []byte("\uFEFF"))
			}
			prefix, confidence, reason := parseLine(line)
			if reason != "" {
				problems.add(n, reason)
			} else if prefix.IsValid() {
				entries = append(entries, Entry{Prefix: prefix, Feeds: feeds, FirstSeen: seen, LastSeen: seen, Confidence: confidence})
			}
		}
		if err == io.EOF {
			return normal(entries), problems, nil
		}
		if err != nil {
			return nil, problems, fmt.Errorf("read list %s: %w", feed, err)
		}
	}
}

// parseLine reads one line; the prefix is not valid when there is nothing but a comment.
func parseLine(line []byte) (p netip.Prefix, confidence int, reason string) {
	if i := bytes.IndexAny(line, "#;"); i >= 0 {
		line = line[:i]
	}
	line = bytes.TrimSpace(line)
	if len(line) == 0 {
		return p, 0, ""
	}
	text, rest := line, []byte(nil)
	if i := bytes.IndexAny(line, " \t"); i >= 0 {
		text, rest = line[:i], bytes.TrimSpace(line[i:])
	}
	p, ok := parsePrefix(text)
	if !ok {
		return p, 0, notAddress
	}
	if confidence = listed; len(rest) > 0 {
		lists, err := strconv.ParseUint(string(rest), 10, 32)
		if err != nil {
			return p, 0, extraText
		}
		confidence = int(min(lists*perList, 100))
	}
	return p, confidence, Check(p)
}

// parsePrefix reads an address or a prefix; bits beyond the prefix are cleared, IPv4-mapped ones become IPv4.
func parsePrefix(text []byte) (netip.Prefix, bool) {
	if a, ok := address.Parse(text); ok {
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(string(text))
	if err != nil {
		return p, false
	}
	if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	return p.Masked(), true
}

// Open reads a compiled set or a plain list, whichever data is. A list's feed is named like the file without its ending,
// and its set has no time; what was left out of it is in the problems. A list without any indicator is fault.BadInput.
func Open(name string, data []byte) (*Set, Problems, error) {
	var problems Problems
	if !bytes.HasPrefix(data, []byte(magic[:7])) {
		feed := strings.TrimSuffix(path.Base(name), path.Ext(name))
		var entries []Entry
		var err error
		if entries, problems, err = ParseList(bytes.NewReader(data), feed, time.Time{}); err == nil && len(entries) == 0 {
			err = fault.New(fault.BadInput, "open indicators %s: no indicator in it; %s", name, problems.String())
		}
		if err != nil {
			return nil, problems, err
		}
		if data, err = Build(time.Time{}, entries); err != nil {
			return nil, problems, err
		}
	}
	s, err := Load(data)
	if err != nil {
		return nil, problems, fault.New(fault.Of(err), "open indicators %s: %w", name, err)
	}
	return s, problems, nil
}
