// Package geo tells where public addresses are, which autonomous system announces them and whether they are AWS's.
//
// Databases are files of the MaxMind DB format, City, Country or ASN, in the layout of GeoLite2 or of ip-location-db
// (DB-IP); the layout is recognised from the records. AWS's own ranges come from ip-ranges.json.
package geo

import (
	"bytes"
	"encoding/binary"
	"math"
	"net/netip"
	"sync/atomic"

	"stepsiem/shared/address"
	"stepsiem/shared/event"
)

// DB answers from any number of databases and AWS's ranges. It is safe for concurrent use.
type DB struct {
	databases []*Database
	ranges    *Ranges
	answers   [1 << answerBits]atomic.Pointer[answer]
}

// answerBits is the size of the memory of answers, at most about 10 MB.
const answerBits = 15

// answer is what a combination of records, one per database, comes to: many addresses share it.
type answer struct{ records, json []byte }

// New combines databases, of which later ones add what earlier ones lack, and ranges, which may be nil.
func New(databases []*Database, ranges *Ranges) *DB {
	return &DB{databases: databases, ranges: ranges}
}

// Empty reports whether db can answer nothing.
func (db *DB) Empty() bool { return len(db.databases) == 0 && db.ranges == nil }

// AppendFields appends what is known of a as members for an open ECS source or destination object, a comma before each:
// geo.*, as.* and aws.{hosted,service,region}. Nothing is appended when nothing is known or a is not public.
// Coordinates are rounded to five decimals, about a metre; out-of-range ones and 0,0 count as absent.
func (db *DB) AppendFields(dst []byte, a netip.Addr) []byte {
	if !address.Public(a) {
		return dst
	}
	a = a.Unmap()
	var space [64]byte
	records, hash := space[:0], uint64(0)
	for _, d := range db.databases {
		n := d.record(a)
		records = binary.LittleEndian.AppendUint64(records, n)
		hash = (hash ^ n) * 0x9e3779b97f4a7c15
	}
	slot := &db.answers[hash>>(64-answerBits)]
	known := slot.Load()
	if known == nil || !bytes.Equal(known.records, records) {
		known = &answer{bytes.Clone(records), db.render(records)}
		slot.Store(known)
	}
	dst = append(dst, known.json...)
	if db.ranges != nil {
		dst = db.ranges.appendFields(dst, a)
	}
	return dst
}

func (db *DB) render(records []byte) []byte {
	var known place
	for i, d := range db.databases {
		var p place
		if d.decode(binary.LittleEndian.Uint64(records[8*i:]), &p) == nil { // a verified database gives no error
			known.fill(&p)
		}
	}
	return known.appendFields(nil)
}

func (p *place) appendFields(dst []byte) []byte {
	p.complete()
	dst = object(dst, `,"geo":`, func(dst []byte) []byte {
		dst = member(dst, `,"city_name":`, p.city)
		dst = member(dst, `,"region_name":`, p.region)
		if p.regionCode != "" && p.countryCode != "" {
			dst = event.AppendEscaped(append(dst, `,"region_iso_code":"`...), []byte(p.countryCode))
			dst = event.AppendEscaped(append(dst, '-'), []byte(p.regionCode))
			dst = append(dst, '"')
		}
		dst = member(dst, `,"country_name":`, p.country)
		dst = member(dst, `,"country_iso_code":`, p.countryCode)
		dst = member(dst, `,"continent_name":`, p.continent)
		dst = member(dst, `,"continent_code":`, p.continentCode)
		dst = member(dst, `,"postal_code":`, p.postalCode)
		dst = member(dst, `,"timezone":`, p.timezone)
		if p.located() {
			dst = degrees(append(dst, `,"location":{"lat":`...), p.latitude)
			dst = degrees(append(dst, `,"lon":`...), p.longitude)
			dst = append(dst, '}')
		}
		return dst
	})
	return object(dst, `,"as":`, func(dst []byte) []byte {
		if p.number != 0 {
			dst = event.AppendInt(append(dst, `,"number":`...), int64(p.number))
		}
		if p.organization != "" {
			dst = append(member(dst, `,"organization":{"name":`, p.organization), '}')
		}
		return dst
	})
}

// complete derives the country's name and the continent from the country's code. ZZ and the like are no country.
func (p *place) complete() {
	c, ok := countries[p.countryCode]
	if !ok && p.country == "" {
		p.countryCode = ""
	}
	or(&p.country, c.name)
	or(&p.continentCode, c.continent)
	or(&p.continent, continents[p.continentCode])
}

// object appends name and an object of the members that f appends, or nothing when f appends none.
func object(dst []byte, name string, f func(dst []byte) []byte) []byte {
	start := len(dst)
	dst = append(dst, name...)
	open := len(dst)
	dst = f(dst)
	if len(dst) == open {
		return dst[:start]
	}
	dst[open] = '{' // in place of the first member's comma
	return append(dst, '}')
}

func member(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	return event.AppendString(append(dst, name...), []byte(value))
}

// degrees appends an angle with at most five decimals.
func degrees(dst []byte, c coordinate) []byte {
	n := int64(math.Round(c.degrees * 1e5))
	if n < 0 {
		dst, n = append(dst, '-'), -n
	}
	dst = event.AppendInt(dst, n/1e5)
	n %= 1e5
	if n == 0 {
		return dst
	}
	dst = append(dst, '.', byte('0'+n/1e4), byte('0'+n/1e3%10), byte('0'+n/100%10), byte('0'+n/10%10), byte('0'+n%10))
	return bytes.TrimRight(dst, "0")
}
