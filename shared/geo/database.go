package geo

import (
	"math"
	"net/netip"

	"github.com/oschwald/maxminddb-golang/v2"
	"github.com/oschwald/maxminddb-golang/v2/mmdbdata"

	"stepsiem/shared/fault"
)

// Database is one verified MaxMind DB file in memory. It is safe for concurrent use.
type Database struct {
	name   string
	reader *maxminddb.Reader
}

// probes are looked up in every new database before it is used.
var probes = []netip.Addr{netip.MustParseAddr("1.1.1.1"), netip.MustParseAddr("8.8.8.8"), netip.MustParseAddr("52.95.110.1"),
	netip.MustParseAddr("223.255.254.1"), netip.MustParseAddr("2001:4860:4860::8888"), netip.MustParseAddr("2a00:1450:4001::1")}

// sampled is how many networks of a new database are searched for a field that is known.
const sampled = 1000

// Open verifies data, a file of the MaxMind DB format (https://maxmind.github.io/MaxMind-DB/), and keeps it: data must
// not change afterwards. The whole search tree and every record are checked, which takes about a second for 70 MB. A file
// that is corrupt or holds nothing that documents carry is fault.BadInput; name says in errors which one it was.
func Open(name string, data []byte) (*Database, error) {
	d, err := OpenUnverified(name, data)
	if err != nil {
		return nil, err
	}
	if len(d.reader.Metadata.Description) == 0 { // Verify insists on one; DB-IP's files as packed by ip-location-db have none
		d.reader.Metadata.Description = map[string]string{"en": d.reader.Metadata.DatabaseType}
	}
	if err := d.reader.Verify(); err != nil {
		return nil, fault.New(fault.BadInput, "verify geo database %s: %w", name, err)
	}
	return d, nil
}

// OpenUnverified is Open for a file that is named anew for every short run: only a few addresses are looked up. A corrupt
// record elsewhere is then a place that is not known.
func OpenUnverified(name string, data []byte) (*Database, error) {
	r, err := maxminddb.OpenBytes(data)
	if err != nil {
		return nil, fault.New(fault.BadInput, "open geo database %s: %w", name, err)
	}
	d := &Database{name, r}
	for _, a := range probes {
		if err := d.decode(d.record(a), new(place)); err != nil {
			return nil, fault.New(fault.BadInput, "look up %s in geo database %s: %w", a, name, err)
		}
	}
	if !d.known() {
		return nil, fault.New(fault.BadInput, "geo database %s, type %q, holds no field that is known", name, r.Metadata.DatabaseType)
	}
	return d, nil
}

// known reports whether one of the first networks holds a field that documents carry.
func (d *Database) known() bool {
	n := 0
	for result := range d.reader.Networks() {
		p := place{}
		if result.Decode(&p) == nil && p != (place{}) {
			return true
		}
		if n++; n == sampled {
			break
		}
	}
	return false
}

// none is the record of an address that a database does not know.
const none = math.MaxUint64

// record finds the record of a, which must be unmapped.
func (d *Database) record(a netip.Addr) uint64 {
	if d.reader.Metadata.IPVersion == 4 && !a.Is4() {
		return none
	}
	if r := d.reader.Lookup(a); r.Found() {
		return uint64(r.Offset())
	}
	return none
}

func (d *Database) decode(record uint64, p *place) error {
	if record == none {
		return nil
	}
	return d.reader.LookupOffset(uintptr(record)).Decode(p)
}

// place is what is known of an address. Text that is not known is empty.
type place struct {
	city, region, regionCode                       string
	country, countryCode, continent, continentCode string
	postalCode, timezone                           string
	latitude, longitude                            coordinate
	number                                         uint64 // autonomous system
	organization                                   string
}

// coordinate is an angle in degrees that may be absent.
type coordinate struct {
	degrees float64
	known   bool
}

// located reports whether p has coordinates that mean a place. 0,0 lies in the sea and stands for "unknown".
func (p *place) located() bool {
	lat, lon := p.latitude, p.longitude
	return lat.known && lon.known && math.Abs(lat.degrees) <= 90 && math.Abs(lon.degrees) <= 180 && (lat.degrees != 0 || lon.degrees != 0)
}

// fill adds what p lacks and q knows, unless they disagree on the country: parts of two places make none.
func (p *place) fill(q *place) {
	if p.countryCode == "" || q.countryCode == "" || p.countryCode == q.countryCode {
		or(&p.city, q.city)
		or(&p.region, q.region)
		or(&p.regionCode, q.regionCode)
		or(&p.country, q.country)
		or(&p.countryCode, q.countryCode)
		or(&p.continent, q.continent)
		or(&p.continentCode, q.continentCode)
		or(&p.postalCode, q.postalCode)
		or(&p.timezone, q.timezone)
		if !p.located() {
			p.latitude, p.longitude = q.latitude, q.longitude
		}
	}
	if p.number == 0 {
		p.number, p.organization = q.number, q.organization
	} else if p.number == q.number {
		or(&p.organization, q.organization)
	}
}

func or(dst *string, s string) {
	if *dst == "" {
		*dst = s
	}
}

// UnmarshalMaxMindDBCursor reads a record of any layout known: the nested one of GeoLite2 and GeoIP2 City, Country and
// ASN, and the flat one of the ip-location-db files. Fields of an unexpected kind count as absent.
func (p *place) UnmarshalMaxMindDBCursor(c mmdbdata.Cursor) (mmdbdata.Cursor, error) {
	return members(c, func(key []byte, v mmdbdata.Cursor) (mmdbdata.Cursor, error) {
		switch string(key) {
		case "city":
			return named(v, &p.city, nil)
		case "country":
			return named(v, &p.country, &p.countryCode)
		case "continent":
			return named(v, &p.continent, &p.continentCode)
		case "subdivisions":
			return p.subdivisions(v)
		case "location":
			return members(v, p.place)
		case "postal":
			return named(v, nil, &p.postalCode)
		case "country_code":
			return text(v, &p.countryCode)
		case "state1":
			return text(v, &p.region)
		case "postcode":
			return text(v, &p.postalCode)
		case "autonomous_system_number":
			return number(v, &p.number)
		case "autonomous_system_organization":
			return text(v, &p.organization)
		}
		return p.place(key, v)
	})
}

// place reads the members that GeoLite2 has inside "location" and the flat layout beside all others.
func (p *place) place(key []byte, v mmdbdata.Cursor) (mmdbdata.Cursor, error) {
	switch string(key) {
	case "latitude":
		return float(v, &p.latitude)
	case "longitude":
		return float(v, &p.longitude)
	case "time_zone", "timezone":
		return text(v, &p.timezone)
	}
	return v.Skip()
}

// subdivisions reads the first, largest one.
func (p *place) subdivisions(c mmdbdata.Cursor) (mmdbdata.Cursor, error) {
	if kind, err := c.Kind(); err != nil || kind != mmdbdata.KindSlice {
		return c.Skip()
	}
	s, err := c.Slice()
	if err != nil {
		return c, err
	}
	var next mmdbdata.Cursor
	for {
		i, v, ok := s.Next(next)
		if !ok {
			return s.End()
		}
		if i == 0 {
			next, err = named(v, &p.region, &p.regionCode)
		} else {
			next, err = v.Skip()
		}
		if err != nil {
			return next, err
		}
	}
}

// named reads a name that is either the value itself or, in GeoLite2, the English one of its "names", and the code
// beside those. Either may be nil.
func named(c mmdbdata.Cursor, name, code *string) (mmdbdata.Cursor, error) {
	if kind, err := c.Kind(); err != nil || kind != mmdbdata.KindMap {
		return text(c, name)
	}
	return members(c, func(key []byte, v mmdbdata.Cursor) (mmdbdata.Cursor, error) {
		switch string(key) {
		case "names":
			return members(v, func(language []byte, v mmdbdata.Cursor) (mmdbdata.Cursor, error) {
				if string(language) == "en" {
					return text(v, name)
				}
				return v.Skip()
			})
		case "iso_code", "code":
			return text(v, code)
		}
		return v.Skip()
	})
}

// members calls f for each member of a map; f returns the cursor behind the value. Anything but a map is skipped.
func members(c mmdbdata.Cursor, f func(key []byte, v mmdbdata.Cursor) (mmdbdata.Cursor, error)) (mmdbdata.Cursor, error) {
	if kind, err := c.Kind(); err != nil || kind != mmdbdata.KindMap {
		return c.Skip()
	}
	m, err := c.Map()
	if err != nil {
		return c, err
	}
	var next mmdbdata.Cursor
	for {
		key, v, ok := m.Next(next)
		if !ok {
			return m.End()
		}
		if next, err = f(key, v); err != nil {
			return next, err
		}
	}
}

func text(c mmdbdata.Cursor, dst *string) (mmdbdata.Cursor, error) {
	if kind, err := c.Kind(); err != nil || kind != mmdbdata.KindString || dst == nil {
		return c.Skip()
	}
	s, next, err := c.ReadString()
	or(dst, s)
	return next, err
}

func float(c mmdbdata.Cursor, dst *coordinate) (mmdbdata.Cursor, error) {
	if kind, err := c.Kind(); err != nil || kind != mmdbdata.KindFloat64 && kind != mmdbdata.KindFloat32 {
		return c.Skip()
	}
	f, next, err := c.ReadFloat()
	*dst = coordinate{f, err == nil && !math.IsNaN(f)}
	return next, err
}

func number(c mmdbdata.Cursor, dst *uint64) (mmdbdata.Cursor, error) {
	if kind, err := c.Kind(); err != nil || kind != mmdbdata.KindUint16 && kind != mmdbdata.KindUint32 && kind != mmdbdata.KindUint64 {
		return c.Skip()
	}
	n, next, err := c.ReadUint()
	if n <= math.MaxUint32 {
		*dst = n
	}
	return next, err
}
