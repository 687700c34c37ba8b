// Package sample makes the logs of siem demo: a day of a small company on AWS, in which somebody breaks in.
//
// The story: an address guesses SSH passwords on web-1 until one fits, and becomes root. The same address scans the
// network. From then on web-1 talks to a control server that threat feeds know. With stolen keys the address signs in to
// the console without a second factor, opens SSH to the world and stops the audit trail.
package sample

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"
)

// File is a log object as AWS delivers it.
type File struct {
	Key  string
	Type string
	Time time.Time // of its last event
	Data []byte
}

// Addresses of the story. They belong to networks that are not routed on the Internet but count as public.
var (
	attacker = netip.MustParseAddr("26.13.37.66")
	control  = netip.MustParseAddr("29.66.6.13")
	office   = netip.MustParseAddr("30.1.2.3")
)

// Hostile are the addresses that the demo's threat feed names.
func Hostile() []netip.Addr { return []netip.Addr{attacker, control} }

// Place is where the demo's geo database says that a network is.
type Place struct {
	Network             netip.Prefix
	City, Country, Code string
	Continent           string
	Latitude, Longitude float64
}

// Places are for the story's networks. They are made up.
func Places() []Place {
	return []Place{
		{netip.MustParsePrefix("26.13.37.0/24"), "Reykjavik", "Iceland", "IS", "EU", 64.15, -21.94},
		{netip.MustParsePrefix("29.66.6.0/24"), "Suva", "Fiji", "FJ", "OC", -18.14, 178.44},
		{netip.MustParsePrefix("30.1.2.0/24"), "Graz", "Austria", "AT", "EU", 47.07, 15.44},
	}
}

const (
	account = "123456789012"
	region  = "eu-central-1"
	day     = 24 * time.Hour
)

// Files are the logs of the 24 hours before end, split into yesterday's and today's. The same end gives the same bytes.
func Files(end time.Time) ([]File, error) {
	end = end.UTC().Truncate(time.Second)
	s := &story{end: end, random: rand.New(rand.NewPCG(uint64(end.Unix()), 7))}
	return s.pack(s.auth(), s.flows(), s.trail())
}

type story struct {
	end    time.Time
	random *rand.Rand
}

// at is the time a fraction of the day, 0 to 1, after the beginning.
func (s *story) at(fraction float64) time.Time {
	return s.end.Add(-day).Add(time.Duration(fraction * float64(day))).Truncate(time.Second)
}

func (s *story) hex(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = "0123456789abcdef"[s.random.IntN(16)]
	}
	return string(b)
}

// event is one record in its log's own form.
type event struct {
	at   time.Time
	text string
}

// kind is a log type: the events in any order, and how an object of them looks.
type kind struct {
	typ    string
	events []event
	key    func(t time.Time) string
	body   func(events []event) []byte
	gzip   bool
}

// compress is a file as delivered.
func compress(body []byte) ([]byte, error) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(body); err != nil {
		return nil, fmt.Errorf("compress sample: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("compress sample: %w", err)
	}
	return b.Bytes(), nil
}

// lines joins events as lines under an optional header.
func lines(header string) func([]event) []byte {
	return func(events []event) []byte {
		b := []byte(header)
		for _, e := range events {
			b = append(append(b, e.text...), '\n')
		}
		return b
	}
}
