// Package address parses IP addresses, tells public ones from special-purpose ones, and numbers the distinct public
// addresses of a chunk.
package address

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"unsafe"
)

// special holds what RFC 6890 and the IANA special-purpose registries take out of the public IPv4 space.
var special = prefixes("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
	"192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16",
	"192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4")

// special6 is the same inside 2000::/3, the only global unicast space.
var special6 = prefixes("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")

var global6 = netip.MustParsePrefix("2000::/3")

// octets holds the special prefixes that begin with each octet; most have none.
var octets = func() (table [256][]prefix4) {
	for _, p := range special {
		first, mask := key(p.Addr().As4()), ^uint32(0)<<(32-p.Bits())
		for n := range 1 << max(0, 8-p.Bits()) {
			o := first>>24 + uint32(n)
			table[o] = append(table[o], prefix4{first, mask})
		}
	}
	return table
}()

type prefix4 struct{ net, mask uint32 }

func key(b [4]byte) uint32 { return binary.BigEndian.Uint32(b[:]) }

func prefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, s := range list {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

// Public reports whether a is a unicast address outside every special-purpose range of RFC 6890.
// IPv4-mapped IPv6 addresses are judged as IPv4. The zero Addr is not public.
func Public(a netip.Addr) bool {
	a = a.Unmap()
	switch {
	case a.Is4():
		return public4(a.As4())
	case !global6.Contains(a):
		return false
	}
	for _, p := range special6 {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

func public4(b [4]byte) bool {
	for _, p := range octets[b[0]] {
		if key(b)&p.mask == p.net {
			return false
		}
	}
	return true
}

// PublicPrefix reports whether every address of p, which must be unmapped, is public.
func PublicPrefix(p netip.Prefix) bool {
	special := special
	if p.Addr().Is6() {
		if special = special6; p.Bits() < global6.Bits() || !global6.Contains(p.Addr()) {
			return false
		}
	}
	for _, s := range special {
		if s.Overlaps(p) {
			return false
		}
	}
	return p.IsValid()
}

// Parse reads an address in text form and unmaps it. It refuses zones, prefixes, blanks and octets with leading zeros.
func Parse(s []byte) (netip.Addr, bool) {
	if b, ok := parse4(s); ok {
		return netip.AddrFrom4(b), true
	}
	if len(s) < 2 || len(s) > 45 {
		return netip.Addr{}, false
	}
	// ParseAddr keeps no reference to its argument but in zones and errors, both dropped here.
	a, err := netip.ParseAddr(unsafe.String(unsafe.SliceData(s), len(s)))
	if err != nil || a.Zone() != "" {
		return netip.Addr{}, false
	}
	return a.Unmap(), true
}

func parse4(s []byte) (out [4]byte, ok bool) {
	if len(s) < 7 || len(s) > 15 {
		return out, false
	}
	n, v, digits := 0, 0, 0
	for _, c := range s {
		switch {
		case c-'0' <= 9:
			if digits > 0 && v == 0 {
				return out, false
			}
			v = v*10 + int(c-'0')
			if digits++; v > 255 {
				return out, false
			}
		case c == '.' && digits > 0 && n < 3:
			out[n] = byte(v)
			n, v, digits = n+1, 0, 0
		default:
			return out, false
		}
	}
	out[3] = byte(v)
	return out, n == 3 && digits > 0
}

// seed keeps whoever chooses addresses from choosing collisions.
var seed = rand.Uint64() | 1

// Table numbers distinct addresses from 0 in the order they come. The zero Table is ready; it is not safe for
// concurrent use.
type Table struct {
	list  []netip.Addr
	slots []slot // open addressing over IPv4
	n4    int
	six   map[netip.Addr]int32
}

type slot struct {
	key  uint32
	plus int32 // number+1; 0 when the slot is free
}

// Number returns the number of a, giving it the next one when it is new. a must be valid and unmapped.
func (t *Table) Number(a netip.Addr) int32 {
	if !a.Is4() {
		if n, ok := t.six[a]; ok {
			return n
		}
		if t.six == nil {
			t.six = map[netip.Addr]int32{}
		}
		n := t.add(a)
		t.six[a] = n
		return n
	}
	if t.n4*4 >= len(t.slots)*3 {
		t.grow()
	}
	k := key(a.As4())
	s := t.slot(k)
	if s.plus == 0 {
		*s = slot{k, t.add(a) + 1}
		t.n4++
	}
	return s.plus - 1
}

func (t *Table) add(a netip.Addr) int32 {
	t.list = append(t.list, a)
	return int32(len(t.list) - 1)
}

// slot is where k is, or the free one where it belongs.
func (t *Table) slot(k uint32) *slot {
	mask := uint32(len(t.slots) - 1)
	for i := uint32(uint64(k)*seed>>32) & mask; ; i = (i + 1) & mask {
		if s := &t.slots[i]; s.plus == 0 || s.key == k {
			return s
		}
	}
}

func (t *Table) grow() {
	old := t.slots
	t.slots = make([]slot, max(64, 2*len(old)))
	for _, s := range old {
		if s.plus != 0 {
			*t.slot(s.key) = s
		}
	}
}

// List returns the addresses by number; it stays valid until the next Number or Reset.
func (t *Table) List() []netip.Addr { return t.list }

// Reset forgets all addresses and keeps the memory.
func (t *Table) Reset() {
	t.list, t.n4 = t.list[:0], 0
	clear(t.slots)
	clear(t.six)
}
