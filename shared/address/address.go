// Package address parses IP addresses, tells public ones from special-purpose ones, and numbers the distinct public
// addresses of a chunk.
package address

import (
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

// mixed marks the first octets that hold both public and special addresses; whole holds those that are special throughout.
var mixed, whole = octets()

func octets() (mixed, whole [256]bool) {
	for _, p := range special {
		a := p.Addr().As4()
		if p.Bits() > 8 {
			mixed[a[0]] = true
			continue
		}
		for n := range 1 << (8 - p.Bits()) {
			whole[int(a[0])+n] = true
		}
	}
	return mixed, whole
}

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
		b := a.As4()
		return public4(b)
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
	if whole[b[0]] {
		return false
	}
	if mixed[b[0]] {
		a := netip.AddrFrom4(b)
		for _, p := range special {
			if p.Contains(a) {
				return false
			}
		}
	}
	return true
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
	keys  []uint32 // open addressing over IPv4, slots hold number+1
	slots []int32
	n4    int
	six   map[netip.Addr]int32
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
	if t.n4*2 >= len(t.keys) {
		t.grow()
	}
	b := a.As4()
	k := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	i := t.slot(k)
	if t.slots[i] == 0 {
		t.keys[i], t.slots[i] = k, t.add(a)+1
		t.n4++
	}
	return t.slots[i] - 1
}

func (t *Table) add(a netip.Addr) int32 {
	t.list = append(t.list, a)
	return int32(len(t.list) - 1)
}

func (t *Table) slot(k uint32) uint32 {
	mask := uint32(len(t.keys) - 1)
	i := uint32(uint64(k)*seed>>33) & mask
	for t.slots[i] != 0 && t.keys[i] != k {
		i = (i + 1) & mask
	}
	return i
}

func (t *Table) grow() {
	keys, slots := t.keys, t.slots
	n := max(64, 2*len(keys))
	t.keys, t.slots = make([]uint32, n), make([]int32, n)
	for j, s := range slots {
		if s != 0 {
			i := t.slot(keys[j])
			t.keys[i], t.slots[i] = keys[j], s
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
