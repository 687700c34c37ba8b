package indicator

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"iter"
	"math"
	"net/netip"
	"reflect"
	"slices"
	"time"

	"stepsiem/shared/fault"
)

const (
	magic      = "stepset1"
	headerSize = 48
	keySize4   = 8
	keySize6   = 20
	rowSize    = 16
	sampling   = 64 // IPv6 keys per entry of Set.sample
)

// Set is a loaded indicator set. It is safe for concurrent use.
type Set struct {
	created time.Time
	version string
	lists   [][]string
	v4      table4
	v6      table6
	rows4   rows
	rows6   rows
	first   []uint32 // by the upper 16 bits of an IPv4 address: the first key that is not below them
	sample  []uint64 // the upper half of every sampling-th IPv6 key
}

// Match is the answer for an address: the most specific entry that covers it, but with the feeds of every entry that does.
type Match struct {
	Addr netip.Addr `json:"addr"`
	Entry
}

// Same reports whether two answers, nil for none, mark a document alike.
func (m *Match) Same(o *Match) bool {
	if m == nil || o == nil {
		return m == o
	}
	return m.Addr == o.Addr && reflect.DeepEqual(m.Entry, o.Entry)
}

// Load checks data, a compiled set, and uses it in place: data must not change afterwards. What is truncated, corrupt or
// of another version is fault.BadInput.
func Load(data []byte) (*Set, error) {
	if len(data) < headerSize || string(data[:7]) != magic[:7] {
		return nil, fault.New(fault.BadInput, "load indicator set: %d bytes that do not begin like one", len(data))
	}
	if data[7] != magic[7] {
		return nil, fault.New(fault.BadInput, "load indicator set: version %q of the layout, not %q", data[7], magic[7])
	}
	if n := binary.LittleEndian.Uint64(data[8:]); n != uint64(len(data)) {
		return nil, fault.New(fault.BadInput, "load indicator set: %d bytes of %d", len(data), n)
	}
	sum := sha256.Sum256(data[headerSize:])
	if !bytes.Equal(sum[:], data[16:headerSize]) {
		return nil, fault.New(fault.BadInput, "load indicator set: checksum does not match")
	}
	s := &Set{}
	if !s.read(data[headerSize:]) {
		return nil, fault.New(fault.BadInput, "load indicator set: its tables contradict each other")
	}
	s.version = hex.EncodeToString(sum[:6])
	if !s.created.IsZero() {
		s.version = s.created.Format("20060102T150405Z-") + s.version
	}
	return s, nil
}

// read takes the tables out of body and reports whether they are sound: no later access leaves them or runs on.
func (s *Set) read(body []byte) bool {
	r := reader{rest: body}
	s.created = moment(int64(r.uint(8)))
	names := make([]string, r.count(1))
	for i := range names {
		names[i] = string(r.take(r.uint(1)))
	}
	s.lists = make([][]string, r.count(2))
	for i := range s.lists {
		s.lists[i] = make([]string, r.uint(2))
		for j := range s.lists[i] {
			n := r.uint(2)
			if n >= uint64(len(names)) {
				return false
			}
			s.lists[i][j] = names[n]
		}
	}
	n4, n6 := r.uint(4), r.uint(4)
	s.v4, s.rows4 = r.take(n4*keySize4), r.take(n4*rowSize)
	s.v6, s.rows6 = r.take(n6*keySize6), r.take(n6*rowSize)
	return !r.short && len(r.rest) == 0 && s.sound(s.rows4) && s.sound(s.rows6) && s.index4() && s.index6()
}

// sound checks rows.
func (s *Set) sound(rows rows) bool {
	for i := range rows.len() {
		if r := rows.at(i); r.list() >= len(s.lists) || r.confidence() > 100 {
			return false
		}
	}
	return true
}

// index4 fills first and reports whether the keys are in order and their links sound.
func (s *Set) index4() bool {
	s.first = make([]uint32, 1<<16+1)
	next, last := 0, uint64(0)
	for i := range s.v4.len() {
		k := s.v4.key(i)
		if l := s.v4.link(i); k>>24 <= last>>24 || l.bits() < minBits4 || l.bits() > 32 || l.covering() >= i {
			return false
		}
		for ; next <= int(k>>48); next++ {
			s.first[next] = uint32(i)
		}
		last = k
	}
	for ; next < len(s.first); next++ {
		s.first[next] = uint32(s.v4.len())
	}
	return true
}

// index6 fills sample and reports whether the keys are in order and their links sound.
func (s *Set) index6() bool {
	s.sample = make([]uint64, 0, s.v6.len()/sampling+1)
	var lastHi, lastLo uint64
	lastBits := 0
	for i := range s.v6.len() {
		hi, lo := s.v6.key(i)
		l := s.v6.link(i)
		if cmp.Or(cmp.Compare(lastHi, hi), cmp.Compare(lastLo, lo), cmp.Compare(lastBits, l.bits())) >= 0 ||
			l.bits() < minBits6 || l.bits() > 128 || l.covering() >= i {
			return false
		}
		if i%sampling == 0 {
			s.sample = append(s.sample, hi)
		}
		lastHi, lastLo, lastBits = hi, lo, l.bits()
	}
	return true
}

// Version names the set: its time and its content, "20260131T120000Z-0123456789ab"; later ones sort behind. A set without
// a time has the content's part alone.
func (s *Set) Version() string { return s.version }

// Created is when the set was made, zero when that is not known.
func (s *Set) Created() time.Time { return s.created }

// Len is the number of entries.
func (s *Set) Len() int { return s.v4.len() + s.v6.len() }

// All yields every entry, sorted by address (IPv4 first), then prefix length.
func (s *Set) All() iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		for i := range s.v4.len() {
			if !yield(s.entry(s.v4.prefix(i), s.rows4.at(i))) {
				return
			}
		}
		for i := range s.v6.len() {
			if !yield(s.entry(s.v6.prefix(i), s.rows6.at(i))) {
				return
			}
		}
	}
}

// Match looks up a; IPv4-mapped addresses count as IPv4.
func (s *Set) Match(a netip.Addr) (m Match, ok bool) {
	a = a.Unmap()
	switch {
	case a.Is4():
		i := s.find4(word(a))
		if i < 0 {
			return m, false
		}
		m = Match{a, s.entry(s.v4.prefix(i), s.rows4.at(i))}
		for c := s.v4.link(i).covering(); c >= 0; c = s.v4.link(c).covering() {
			m.Feeds = union(m.Feeds, s.lists[s.rows4.at(c).list()])
		}
	case a.Is6():
		i := s.find6(halves(a))
		if i < 0 {
			return m, false
		}
		m = Match{a, s.entry(s.v6.prefix(i), s.rows6.at(i))}
		for c := s.v6.link(i).covering(); c >= 0; c = s.v6.link(c).covering() {
			m.Feeds = union(m.Feeds, s.lists[s.rows6.at(c).list()])
		}
	default:
		return m, false
	}
	return m, true
}

// find4 is the most specific entry that covers a, or -1. The last key that is not above a belongs to it or to an entry
// inside it, as prefixes nest; so does find6.
func (s *Set) find4(a uint32) int {
	lo, hi := int(s.first[a>>16]), int(s.first[a>>16+1])
	last := uint64(a)<<32 | math.MaxUint32
	for lo < hi {
		if mid := int(uint(lo+hi) / 2); s.v4.key(mid) <= last {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	i := lo - 1
	for i >= 0 && (uint32(s.v4.key(i)>>32)^a)>>(32-s.v4.link(i).bits()) != 0 {
		i = s.v4.link(i).covering()
	}
	return i
}

func (s *Set) find6(hi, lo uint64) int {
	// The last sample below hi is a key below, the first above it a key above. No indicator has an upper half of all ones.
	from, _ := slices.BinarySearch(s.sample, hi)
	to, _ := slices.BinarySearch(s.sample[from:], hi+1)
	from, to = max(0, (from-1)*sampling), min((from+to)*sampling, s.v6.len())
	for from < to {
		mid := int(uint(from+to) / 2)
		if h, l := s.v6.key(mid); h < hi || h == hi && l <= lo {
			from = mid + 1
		} else {
			to = mid
		}
	}
	i := from - 1
	for ; i >= 0; i = s.v6.link(i).covering() {
		h, l := s.v6.key(i)
		bits := s.v6.link(i).bits()
		if (h^hi)>>max(0, 64-bits) == 0 && (l^lo)>>min(64, 128-bits) == 0 { // a shift by 64 leaves nothing
			break
		}
	}
	return i
}

func (s *Set) entry(p netip.Prefix, r row) Entry {
	return Entry{Prefix: p, Feeds: s.lists[r.list()], Confidence: r.confidence(),
		FirstSeen: moment(r.word(1)), LastSeen: moment(r.word(2)), Expires: moment(r.word(3))}
}

// table4 and table6 are the keys of one family in the file's bytes.
type (
	table4 []byte
	table6 []byte
)

func (t table4) len() int { return len(t) / keySize4 }

// key is the address above the link, so keys compare as their entries do.
func (t table4) key(i int) uint64 { return binary.LittleEndian.Uint64(t[i*keySize4:]) }
func (t table4) link(i int) link  { return link(t.key(i)) }

func (t table4) prefix(i int) netip.Prefix {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], uint32(t.key(i)>>32))
	return netip.PrefixFrom(netip.AddrFrom4(b), t.link(i).bits())
}

func (t table6) len() int { return len(t) / keySize6 }

func (t table6) key(i int) (hi, lo uint64) {
	k := t[i*keySize6:][:keySize6]
	return binary.LittleEndian.Uint64(k[4:]), binary.LittleEndian.Uint64(k[12:])
}

func (t table6) link(i int) link { return link(binary.LittleEndian.Uint32(t[i*keySize6:])) }

func (t table6) prefix(i int) netip.Prefix {
	var b [16]byte
	hi, lo := t.key(i)
	binary.BigEndian.PutUint64(b[:], hi)
	binary.BigEndian.PutUint64(b[8:], lo)
	return netip.PrefixFrom(netip.AddrFrom16(b), t.link(i).bits())
}

// link is the covering entry and the prefix length of an entry.
type link uint32

func (l link) covering() int { return int(l&(1<<24-1)) - 1 } // -1 for none
func (l link) bits() int     { return int(l >> 24) }

// rows are what entries have beside their keys.
type rows []byte

func (r rows) len() int     { return len(r) / rowSize }
func (r rows) at(i int) row { return row(r[i*rowSize:][:rowSize]) }

type row []byte

func (r row) word(i int) int64 { return int64(binary.LittleEndian.Uint32(r[4*i:])) }
func (r row) list() int        { return int(r.word(0) & (1<<24 - 1)) }
func (r row) confidence() int  { return int(r[3]) }

// reader takes values off a buffer; past its end they are zero and short is set.
type reader struct {
	rest  []byte
	short bool
}

func (r *reader) take(n uint64) []byte {
	if n > uint64(len(r.rest)) {
		r.short, r.rest = true, nil
		return nil
	}
	out := r.rest[:n]
	r.rest = r.rest[n:]
	return out
}

func (r *reader) uint(size uint64) (v uint64) {
	for i, c := range r.take(size) {
		v |= uint64(c) << (8 * i)
	}
	return v
}

// count takes a number of items, each of at least size bytes.
func (r *reader) count(size int) int {
	n := r.uint(4)
	if n > uint64(len(r.rest)/size) {
		r.short, n = true, 0
	}
	return int(n)
}
