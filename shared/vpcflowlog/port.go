package vpcflowlog

import (
	_ "embed"
	"strconv"
	"strings"
)

//go:embed services.txt
var serviceText string

// services finds the member that names a port's service, as getservbyport(3) would. Most ports have none: they share one
// empty page, so that random ports stay in the processor's cache.
type services struct {
	member []string // `,"service":{"name":"https"}`; the first is ""
	page   [1 << 16 / pagePorts]uint8
	pages  [][pagePorts][2]uint16 // tcp, udp → number in member; the first page is empty
}

const pagePorts = 64

var known = newServices(serviceText)

func newServices(text string) *services {
	s := &services{member: []string{""}, pages: make([][pagePorts][2]uint16, 1)}
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
		page := &s.page[port/pagePorts]
		if *page == 0 {
			s.pages = append(s.pages, [pagePorts][2]uint16{})
			*page = uint8(len(s.pages) - 1)
		}
		both := &s.pages[*page][port%pagePorts]
		if proto != "udp" {
			both[0] = uint16(len(s.member) - 1)
		}
		if proto != "tcp" {
			both[1] = uint16(len(s.member) - 1)
		}
	}
	return s
}

// of is the member for a port of an IANA protocol, "" when none is known.
func (s *services) of(port uint64, protocol int) string {
	both := &s.pages[s.page[port/pagePorts%uint64(len(s.page))]][port%pagePorts]
	switch protocol {
	case 6:
		return s.member[both[0]]
	case 17:
		return s.member[both[1]]
	}
	return ""
}
