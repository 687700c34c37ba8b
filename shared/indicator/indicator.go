// Package indicator holds threat-indicator sets: which addresses and prefixes are named as hostile, by which feeds, since
// when and how surely. A set is immutable and is used in the bytes it is stored in.
//
// A compiled set is one file, integers little-endian:
//
//	8   magic "stepset1"; the digit is the version of this layout
//	8   length of the whole file
//	32  SHA-256 of all that follows
//	8   when it was made, Unix seconds, 0 when that is not known
//	4   number of feeds, each: 1 byte of length, the name
//	4   number of feed lists, each: 2 bytes of length, 2 bytes a feed
//	4   number of IPv4 entries; 4 number of IPv6 entries
//	    IPv4 keys, sorted: 4 bytes of link, 4 of address; IPv4 rows
//	    IPv6 keys, sorted: 4 bytes of link, 8 and 8 of the address's upper and lower half; IPv6 rows
//
// A link is the number of the covering entry plus 1 (24 bits, 0 for none) and the prefix length (8). A row is four 32-bit
// words: the number of the feed list (24 bits) and the confidence (8); first seen, last seen and expiry in Unix seconds, 0
// for unknown. A search touches keys only.
package indicator

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
	"time"

	"stepsiem/shared/address"
	"stepsiem/shared/fault"
)

// Limits of a set.
const (
	MaxEntries = 1<<24 - 1 // of each family
	maxLists   = 1 << 24
	maxFeeds   = 1 << 16
	maxName    = 255 // bytes of a feed's name
	minBits4   = 8   // shorter prefixes would name too much to be meant
	minBits6   = 16
)

// Entry is one indicator. Times are whole seconds, zero when unknown.
type Entry struct {
	Prefix    netip.Prefix `json:"prefix"` // a single address is a /32 or /128
	Feeds     []string     `json:"feeds"`  // the names of the feeds that name it, sorted
	FirstSeen time.Time    `json:"first_seen,omitzero"`
	LastSeen  time.Time    `json:"last_seen,omitzero"`
	// Expires is when it stops to count. A set does not judge by it: whoever publishes leaves expired entries out.
	Expires    time.Time `json:"expires,omitzero"`
	Confidence int       `json:"confidence"` // 0 to 100
}

// Check says why p may not be an indicator, or "".
func Check(p netip.Prefix) string {
	switch a := p.Addr(); {
	case !p.IsValid() || a.Is4In6():
		return notAddress
	case a.Is4() && p.Bits() < minBits4, a.Is6() && p.Bits() < minBits6:
		return tooShort
	case !address.PublicPrefix(p):
		return specialPurpose
	}
	return ""
}

// normal returns entries sorted by address, then prefix length, and merges those of one prefix: all feeds, the widest span
// of times, the highest confidence.
func normal(entries []Entry) []Entry {
	type key struct {
		hi, lo  uint64 // IPv4 is mapped, below all of IPv6 that can be an indicator
		bits, i int32
	}
	keys := make([]key, len(entries)) // a fifth of the size of entries to move about
	for i, e := range entries {
		hi, lo := halves(e.Prefix.Addr())
		keys[i] = key{hi, lo, int32(e.Prefix.Bits()), int32(i)}
	}
	slices.SortFunc(keys, func(a, b key) int {
		switch {
		case a.hi != b.hi:
			return cmp.Compare(a.hi, b.hi)
		case a.lo != b.lo:
			return cmp.Compare(a.lo, b.lo)
		}
		return cmp.Compare(a.bits, b.bits)
	})
	out := make([]Entry, 0, len(entries))
	for _, k := range keys {
		e := entries[k.i]
		if n := len(out); n > 0 && out[n-1].Prefix == e.Prefix {
			out[n-1].merge(e)
			continue
		}
		out = append(out, e)
	}
	return out
}

func (e *Entry) merge(o Entry) {
	e.Feeds = union(e.Feeds, o.Feeds)
	e.Confidence = max(e.Confidence, o.Confidence)
	if e.FirstSeen.IsZero() || !o.FirstSeen.IsZero() && o.FirstSeen.Before(e.FirstSeen) {
		e.FirstSeen = o.FirstSeen
	}
	if o.LastSeen.After(e.LastSeen) {
		e.LastSeen = o.LastSeen
	}
	if e.Expires.IsZero() || o.Expires.IsZero() {
		e.Expires = time.Time{}
	} else if o.Expires.After(e.Expires) {
		e.Expires = o.Expires
	}
}

// union is the sorted names of a and b, each once.
func union(a, b []string) []string {
	out := slices.Concat(a, b)
	slices.Sort(out)
	return slices.Compact(out)
}

// Build compiles entries, in any order, into a set made at created (zero when that is not known). Entries of one prefix
// are merged. An entry that can't be an indicator is an error.
func Build(created time.Time, entries []Entry) ([]byte, error) {
	for i := range entries {
		if err := entries[i].valid(); err != nil {
			return nil, fault.New(fault.BadInput, "build indicator set: entry %d: %w", i, err)
		}
	}
	entries = normal(entries)
	n4, _ := slices.BinarySearchFunc(entries, true, func(e Entry, _ bool) int {
		if e.Prefix.Addr().Is4() {
			return -1
		}
		return 1
	})
	n6 := len(entries) - n4
	lists, err := listFeeds(entries)
	switch {
	case err != nil:
		return nil, err
	case n4 > MaxEntries || n6 > MaxEntries:
		return nil, fault.New(fault.BadInput, "build indicator set: %d IPv4 and %d IPv6 entries, more than %d", n4, n6, MaxEntries)
	}
	le := binary.LittleEndian
	b := make([]byte, headerSize, headerSize+len(lists.encoded)+64+n4*(keySize4+rowSize)+n6*(keySize6+rowSize))
	b = le.AppendUint64(b, uint64(seconds(created)))
	b = append(b, lists.encoded...)
	b = le.AppendUint32(b, uint32(n4))
	b = le.AppendUint32(b, uint32(n6))
	b = appendTable(b, entries[:n4], lists.numbers)
	b = appendTable(b, entries[n4:], lists.numbers[n4:])
	copy(b, magic)
	le.PutUint64(b[8:], uint64(len(b)))
	sum := sha256.Sum256(b[headerSize:])
	copy(b[16:], sum[:])
	return b, nil
}

func (e *Entry) valid() error {
	if reason := Check(e.Prefix); reason != "" {
		return fault.New(fault.BadInput, "%s: %s", e.Prefix, reason)
	}
	if e.Prefix != e.Prefix.Masked() {
		return fault.New(fault.BadInput, "%s has bits beyond its prefix", e.Prefix)
	}
	if e.Confidence < 0 || e.Confidence > 100 {
		return fault.New(fault.BadInput, "%s: confidence %d is not 0 to 100", e.Prefix, e.Confidence)
	}
	if len(e.Feeds) == 0 {
		return fault.New(fault.BadInput, "%s: no feed names it", e.Prefix)
	}
	for _, f := range e.Feeds {
		if f == "" || len(f) > maxName {
			return fault.New(fault.BadInput, "%s: feed name %.20q has not 1 to %d bytes", e.Prefix, f, maxName)
		}
	}
	for _, t := range []time.Time{e.FirstSeen, e.LastSeen, e.Expires} {
		if s := seconds(t); s < 0 || s > 1<<32-1 {
			return fault.New(fault.BadInput, "%s: time %s is not between 1970 and 2106", e.Prefix, t)
		}
	}
	return nil
}

// feedLists numbers the distinct feed lists of entries.
type feedLists struct {
	encoded []byte   // feeds and lists as the file has them
	numbers []uint32 // by entry
}

func listFeeds(entries []Entry) (feedLists, error) {
	var out feedLists
	var names []string
	lists, byNames := [][]string{}, map[string]uint32{}
	for _, e := range entries {
		list := e.Feeds
		if len(list) > 1 {
			list = union(list, nil)
		}
		key := strings.Join(list, "\x00")
		n, ok := byNames[key]
		if !ok {
			n = uint32(len(lists))
			byNames[key] = n
			lists = append(lists, list)
			names = union(names, list)
		}
		out.numbers = append(out.numbers, n)
	}
	if len(names) > maxFeeds || len(lists) > maxLists {
		return out, fault.New(fault.BadInput, "build indicator set: %d feeds in %d combinations", len(names), len(lists))
	}
	le := binary.LittleEndian
	b := le.AppendUint32(nil, uint32(len(names)))
	for _, name := range names {
		b = append(append(b, byte(len(name))), name...)
	}
	b = le.AppendUint32(b, uint32(len(lists)))
	for _, list := range lists {
		b = le.AppendUint16(b, uint16(len(list)))
		for _, name := range list {
			n, _ := slices.BinarySearch(names, name)
			b = le.AppendUint16(b, uint16(n))
		}
	}
	out.encoded = b
	return out, nil
}

// appendTable appends the keys and rows of sorted entries of one family.
func appendTable(b []byte, entries []Entry, lists []uint32) []byte {
	var open []int // the entries that cover the current one, widest first
	le := binary.LittleEndian
	for i, e := range entries {
		a := e.Prefix.Addr()
		for len(open) > 0 && !entries[open[len(open)-1]].Prefix.Contains(a) {
			open = open[:len(open)-1]
		}
		covering := uint32(0)
		if len(open) > 0 {
			covering = uint32(open[len(open)-1]) + 1
		}
		open = append(open, i)
		b = le.AppendUint32(b, covering|uint32(e.Prefix.Bits())<<24)
		if a.Is4() {
			b = le.AppendUint32(b, word(a))
		} else {
			hi, lo := halves(a)
			b = le.AppendUint64(le.AppendUint64(b, hi), lo)
		}
	}
	for i, e := range entries {
		b = le.AppendUint32(b, lists[i]|uint32(e.Confidence)<<24)
		b = le.AppendUint32(b, uint32(seconds(e.FirstSeen)))
		b = le.AppendUint32(b, uint32(seconds(e.LastSeen)))
		b = le.AppendUint32(b, uint32(seconds(e.Expires)))
	}
	return b
}

// seconds is t in Unix seconds, 0 for the zero time.
func seconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// moment undoes seconds.
func moment(s int64) time.Time {
	if s == 0 {
		return time.Time{}
	}
	return time.Unix(s, 0).UTC()
}

// word and halves are an address in numbers.
func word(a netip.Addr) uint32 {
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

func halves(a netip.Addr) (hi, lo uint64) {
	b := a.As16()
	return binary.BigEndian.Uint64(b[:]), binary.BigEndian.Uint64(b[8:])
}
