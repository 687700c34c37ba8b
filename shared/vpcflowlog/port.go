package vpcflowlog

import (
	_ "embed"
	"strconv"
	"strings"
)

//go:embed services.txt
var serviceText string

// services finds the member that names a port's service, as getservbyport(3) would.
type services struct {
	member []string           // `,"service":{"name":"https"}`; the first is ""
	ports  [2][1 << 16]uint16 // tcp, udp → number in member
}

var known = newServices(serviceText)

func newServices(text string) *services {
	s := &services{member: []string{""}}
	for line := range strings.Lines(text) {
		name, where, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || name == "#" {
			continue
		}
		where, proto, _ := strings.Cut(where, "/")
		port, err := strconv.ParseUint(where, 10, 16)
		if err != nil {
			panic("services.txt: " + line) // our own file, held by a test
		}
		s.member = append(s.member, `,"service":{"name":"`+name+`"}`)
		n := uint16(len(s.member) - 1)
		if proto != "udp" {
			s.ports[0][port] = n
		}
		if proto != "tcp" {
			s.ports[1][port] = n
		}
	}
	return s
}

// of is the member for a port of an IANA protocol, "" when none is known.
func (s *services) of(port uint64, protocol int) string {
	switch protocol {
	case 6:
		return s.member[s.ports[0][port&0xffff]]
	case 17:
		return s.member[s.ports[1][port&0xffff]]
	}
	return ""
}
