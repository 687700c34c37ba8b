package vpcflowlog

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"net/netip"

	"stepsiem/shared/address"
	"stepsiem/shared/event"
)

// outcome is what action and log-status say together.
type outcome uint8

const (
	unstated outcome = iota
	accepted
	rejected
	nodata
	skipdata
)

// flow is one line's fields, checked; texts are slices of the line and nil when absent.
type flow struct {
	outcome
	ok       bool // log-status is OK
	family   uint8
	flags    uint8 // low eight TCP flags
	way      uint8 // inbound or outbound by flow-direction
	protocol int
	face     []byte // see parser.face; valid until the next line

	src, dst, pktSrc, pktDst         []byte
	srcPort, dstPort, packets, bytes []byte
	tcpFlags, trafficPath, encrypted []byte
	srcIP, dstIP, pktSrcIP, pktDstIP netip.Addr // as far as they are needed: see remote
	srcService, dstService           string
	start, end                       int64 // seconds since 1970; -1 when absent
}

// Seconds of the year 10000.
const endOfTime = 253402300800

func (f *flow) sides() bool { return f.srcIP.IsValid() || f.dstIP.IsValid() }

// read splits line by the first of plans that has as many fields, and checks every field.
func (p *parser) read(plans []*plan, line []byte, f *flow) error {
	err := errLong
	if len(line) <= maxLine {
		for _, p.plan = range plans {
			if err = p.split(line); err == nil {
				return p.check(line, f)
			}
		}
	}
	return err
}

const (
	ones = 0x0101010101010101
	lows = 0x7f7f7f7f7f7f7f7f
)

// blanks marks the blanks among the eight bytes of w in the low eight bits.
func blanks(w uint64) uint64 {
	w ^= ones * ' '
	w = ^((w&lows + lows) | w | lows) >> 7
	return w * 0x0102040810204080 >> 56
}

// split finds where the fields end, and whether the line is plain.
func (p *parser) split(line []byte) error {
	n, before, dirty := 0, uint64(1), uint64(0)
	ends := p.ends[1 : p.plan.count+1]
	for base := 0; base < len(line); base += 64 {
		var mask uint64
		block := line[base:min(base+64, len(line))]
		i := 0
		for ; i+8 <= len(block); i += 8 {
			w := binary.LittleEndian.Uint64(block[i:])
			mask |= blanks(w) << i
			dirty |= event.Dirty(w)
		}
		if i < len(block) {
			w := uint64(ones * '0')
			for j, c := range block[i:] {
				w ^= uint64(c^'0') << (8 * j)
			}
			mask |= blanks(w) << i
			dirty |= event.Dirty(w)
		}
		if mask&(mask<<1|before) != 0 {
			return errEmpty
		}
		before = mask >> 63
		for ; mask != 0; mask &= mask - 1 {
			if n == len(ends) {
				return p.plan.errors.count
			}
			ends[n] = int32(base + bits.TrailingZeros64(mask))
			n++
		}
	}
	if n != len(ends)-1 {
		return p.plan.errors.count
	}
	if line[len(line)-1] == ' ' {
		return errEmpty
	}
	ends[n] = int32(len(line))
	p.plain = dirty == 0
	return nil
}

// at is the text at position i, from 1; nil for 0 and for "-".
func (p *parser) at(line []byte, i uint8) []byte {
	if i == 0 {
		return nil
	}
	s := line[p.ends[i-1]+1 : p.ends[i]]
	if len(s) == 1 && s[0] == '-' {
		return nil
	}
	return s
}

func (p *parser) text(line []byte, f field) []byte { return p.at(line, p.plan.index[f]) }

// check reads every field whose values are limited; the rest is text and always right.
func (p *parser) check(line []byte, f *flow) error {
	var n uint64
	var err error
	if err = p.addresses(line, f); err != nil {
		return err
	}
	f.protocol = noProtocol
	s, n, err := p.number(line, protocol, 255)
	if err != nil {
		return err
	}
	if s != nil {
		f.protocol = int(n)
	}
	if f.srcPort, n, err = p.number(line, srcPort, 1<<16-1); err != nil {
		return err
	}
	f.srcService = known.of(n, f.protocol)
	if f.dstPort, n, err = p.number(line, dstPort, 1<<16-1); err != nil {
		return err
	}
	f.dstService = known.of(n, f.protocol)
	if f.packets, _, err = p.number(line, packets, 1<<63-1); err != nil {
		return err
	}
	if f.bytes, _, err = p.number(line, octets, 1<<63-1); err != nil {
		return err
	}
	if f.start, err = p.time(line, start); err != nil {
		return err
	}
	if f.end, err = p.time(line, end); err != nil {
		return err
	}
	if f.tcpFlags, n, err = p.number(line, tcpFlags, 1<<16-1); err != nil {
		return err
	}
	f.flags = uint8(n)
	if f.trafficPath, _, err = p.number(line, trafficPath, 1<<16-1); err != nil {
		return err
	}
	if f.encrypted, _, err = p.number(line, encryptionStatus, 1<<16-1); err != nil {
		return err
	}
	if err = p.words(line, f); err != nil {
		return err
	}
	f.face, err = p.face(line)
	return err
}

// words reads the fields that have a closed list of values.
func (p *parser) words(line []byte, f *flow) error {
	switch string(p.text(line, action)) {
	case "ACCEPT":
		f.outcome = accepted
	case "REJECT":
		f.outcome = rejected
	case "":
		f.outcome = unstated
	default:
		return invalid[action]
	}
	switch string(p.text(line, logStatus)) {
	case "OK":
		f.ok = true
	case "NODATA":
		f.outcome = nodata
	case "SKIPDATA":
		f.outcome = skipdata
	case "":
	default:
		return invalid[logStatus]
	}
	switch string(p.text(line, flowDirection)) {
	case "ingress":
		f.way = inbound
	case "egress":
		f.way = outbound
	case "":
		f.way = none
	default:
		return invalid[flowDirection]
	}
	return nil
}

// addresses reads the four addresses. Those of the packet take the interface's place where the format lacks it.
func (p *parser) addresses(line []byte, f *flow) error {
	var err error
	if f.src, f.srcIP, err = p.address(line, srcAddr); err != nil {
		return err
	}
	if f.dst, f.dstIP, err = p.address(line, dstAddr); err != nil {
		return err
	}
	if f.pktSrc, f.pktSrcIP = p.text(line, pktSrcAddr), f.srcIP; !bytes.Equal(f.pktSrc, f.src) {
		if f.pktSrc, f.pktSrcIP, err = p.address(line, pktSrcAddr); err != nil {
			return err
		}
	}
	if f.pktDst, f.pktDstIP = p.text(line, pktDstAddr), f.dstIP; !bytes.Equal(f.pktDst, f.dst) {
		if f.pktDst, f.pktDstIP, err = p.address(line, pktDstAddr); err != nil {
			return err
		}
	}
	if f.src == nil {
		f.src, f.srcIP = f.pktSrc, f.pktSrcIP
	}
	if f.dst == nil {
		f.dst, f.dstIP = f.pktDst, f.pktDstIP
	}
	switch a := f.srcIP; {
	case a.Is4() || f.dstIP.Is4():
		f.family = 1
	case a.IsValid() || f.dstIP.IsValid():
		f.family = 2
	}
	return nil
}

func (p *parser) address(line []byte, f field) (s []byte, a netip.Addr, err error) {
	if s = p.text(line, f); s == nil {
		return nil, a, nil
	}
	a, ok := address.Parse(s)
	if !ok {
		return nil, a, invalid[f]
	}
	return s, a, nil
}

// number reads a decimal without sign or leading zeros, as JSON takes it; s is nil when the field is absent.
func (p *parser) number(line []byte, f field, limit uint64) (s []byte, n uint64, err error) {
	i := p.plan.index[f]
	if i == 0 {
		return nil, 0, nil
	}
	from, to := int(p.ends[i-1]+1), int(p.ends[i])
	s = line[from:to]
	ok := false
	switch size := to - from; {
	case size == 1:
		if s[0] == '-' {
			return nil, 0, nil
		}
		n = uint64(s[0] - '0')
		ok = n <= 9
	case size > 19 || s[0] == '0':
	case size <= 8 && to >= 8:
		n, ok = eight(line[to-8:to], size)
	case size <= 16 && to >= 16:
		var high uint64
		var digits bool
		high, digits = eight(line[to-16:to-8], size-8)
		n, ok = eight(line[to-8:to], 8)
		n, ok = high*1e8+n, ok && digits
	default:
		n, ok = slow(s)
	}
	if !ok || n > limit {
		return nil, 0, invalid[f]
	}
	return s, n, nil
}

// slow reads up to 19 digits one by one.
func slow(s []byte) (n uint64, ok bool) {
	for _, c := range s {
		if c -= '0'; c > 9 {
			return 0, false
		}
		n = n*10 + uint64(c)
	}
	return n, true
}

func (p *parser) time(line []byte, f field) (int64, error) {
	s, n, err := p.number(line, f, endOfTime-1)
	if s == nil {
		return -1, err
	}
	return int64(n), nil
}

// eight reads the last n of eight bytes, 1 to 8, as digits, all at once: how many there are can't be predicted.
func eight(b []byte, n int) (uint64, bool) {
	w := binary.LittleEndian.Uint64(b) ^ ones*'0'
	w = w >> (64 - 8*n) << (64 - 8*n)
	if (w+ones*0x76|w)&(ones<<7) != 0 {
		return 0, false
	}
	w = w*10 + w>>8
	return (w&0xff000000ff*(1000000<<32|100) + w>>16&0xff000000ff*(10000<<32|1)) >> 32, true
}
