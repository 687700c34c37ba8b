package geo

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"

	"stepsiem/shared/fault"
)

type networks map[string]mmdbtype.DataType

// build writes a database file.
func build(t testing.TB, opts mmdbwriter.Options, nets networks) []byte {
	t.Helper()
	opts.IncludeReservedNetworks = true
	w, err := mmdbwriter.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	for n, v := range nets {
		_, ipnet, err := net.ParseCIDR(n)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Insert(ipnet, v); err != nil {
			t.Fatal(n, err)
		}
	}
	var b bytes.Buffer
	if _, err := w.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func open(t testing.TB, data []byte) *Database {
	t.Helper()
	d, err := Open("test", data)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func named2(code, name string) mmdbtype.Map {
	return mmdbtype.Map{"iso_code": mmdbtype.String(code), "geoname_id": mmdbtype.Uint32(7),
		"names": mmdbtype.Map{"de": mmdbtype.String("falsch"), "en": mmdbtype.String(name), "fr": mmdbtype.String("faux")}}
}

func position(lat, lon float64) mmdbtype.Map {
	return mmdbtype.Map{"accuracy_radius": mmdbtype.Uint16(5), "latitude": mmdbtype.Float64(lat), "longitude": mmdbtype.Float64(lon)}
}

var geoLite2 = mmdbwriter.Options{DatabaseType: "GeoLite2-City", Description: map[string]string{"en": "a test"}, RecordSize: 28}

// city is the layout of GeoLite2 City.
func city(t testing.TB) []byte {
	saoPaulo := position(-23.5475, -46.63611)
	saoPaulo["time_zone"] = mmdbtype.String("America/Sao_Paulo")
	return build(t, geoLite2, networks{
		"177.71.128.0/17": mmdbtype.Map{
			"city":               mmdbtype.Map{"names": mmdbtype.Map{"de": mmdbtype.String("falsch"), "en": mmdbtype.String("São Paulo")}},
			"continent":          mmdbtype.Map{"code": mmdbtype.String("SA"), "names": mmdbtype.Map{"en": mmdbtype.String("South America")}},
			"country":            named2("BR", "Brazil"),
			"registered_country": named2("US", "United States"),
			"location":           saoPaulo,
			"postal":             mmdbtype.Map{"code": mmdbtype.String("01000")},
			"subdivisions":       mmdbtype.Slice{named2("SP", "São Paulo"), named2("XX", "within")},
		},
		"2804:431::/32": mmdbtype.Map{"country": named2("BR", "Brazil")},
		"9.0.0.0/24":    mmdbtype.Map{"country": named2("US", "United States"), "location": position(math.NaN(), 1)},
		"9.0.1.0/24":    mmdbtype.Map{"country": named2("US", "United States"), "location": position(91, 1)},
		"9.0.2.0/24":    mmdbtype.Map{"country": named2("US", "United States"), "location": position(1, math.Inf(1))},
		"9.0.3.0/24":    mmdbtype.Map{"country": named2("US", "United States"), "location": position(0, 0)},
		"9.0.4.0/24":    mmdbtype.Map{"country": named2("US", "United States"), "location": mmdbtype.Map{"latitude": mmdbtype.Float64(3)}},
		"9.0.5.0/24":    mmdbtype.Map{"country": mmdbtype.String("text"), "city": mmdbtype.Uint16(1), "location": mmdbtype.Slice{}, "subdivisions": mmdbtype.Map{}},
		"9.0.6.0/24":    mmdbtype.Map{"city": mmdbtype.Map{"names": mmdbtype.Map{"en": mmdbtype.String("a\"\x1b[31m")}}},
		"9.0.7.0/24":    mmdbtype.String("no map"),
		"9.0.8.0/24":    mmdbtype.Map{"location": position(0, -179.9999999)},
		"10.0.0.0/8":    mmdbtype.Map{"country": named2("US", "United States")},
	})
}

// flat is the layout of ip-location-db: no description, codes only, empty text for what is not known, float32.
func flat(t testing.TB, version int, nets ...string) []byte {
	n := networks{}
	for _, prefix := range nets {
		n[prefix] = mmdbtype.Map{"city": mmdbtype.String("Mountain View"), "country_code": mmdbtype.String("US"), "latitude": mmdbtype.Float32(37.422),
			"longitude": mmdbtype.Float32(-122.085), "postcode": mmdbtype.String(""), "state1": mmdbtype.String("California"),
			"state2": mmdbtype.String(""), "timezone": mmdbtype.String("")}
	}
	return build(t, mmdbwriter.Options{DatabaseType: "city ipv4", IPVersion: version, RecordSize: 24}, n)
}

func countryCodes(t testing.TB) []byte {
	return build(t, mmdbwriter.Options{DatabaseType: "country ipvAll"}, networks{
		"8.8.0.0/15":  mmdbtype.Map{"country_code": mmdbtype.String("CA")},
		"8.10.0.0/16": mmdbtype.Map{"country_code": mmdbtype.String("CI")},
		"8.11.0.0/16": mmdbtype.Map{"country_code": mmdbtype.String("ZZ")},
	})
}

func asn(t testing.TB) []byte {
	return build(t, mmdbwriter.Options{DatabaseType: "GeoLite2-ASN", Description: map[string]string{"en": "a test"}}, networks{
		"8.8.8.0/24": mmdbtype.Map{"autonomous_system_number": mmdbtype.Uint32(15169), "autonomous_system_organization": mmdbtype.String("GOOGLE")},
		"8.9.0.0/16": mmdbtype.Map{"autonomous_system_number": mmdbtype.Uint32(3356)},
		"9.0.9.0/24": mmdbtype.Map{"autonomous_system_number": mmdbtype.Uint64(1 << 40)},
	})
}

const (
	unitedStates = `"country_name":"United States","country_iso_code":"US","continent_name":"North America","continent_code":"NA"`
	california   = `,"geo":{"city_name":"Mountain View","region_name":"California",` + unitedStates + `,"location":{"lat":37.422,"lon":-122.085}}`
	brazil       = `"country_name":"Brazil","country_iso_code":"BR","continent_name":"South America","continent_code":"SA"`
)

func TestAppendFields(t *testing.T) {
	nested, v4, v6 := open(t, city(t)), open(t, flat(t, 4, "8.8.8.0/24")), open(t, flat(t, 6, "2001:4860:4860::/48"))
	codes, as := open(t, countryCodes(t)), open(t, asn(t))
	google := `,"as":{"number":15169,"organization":{"name":"GOOGLE"}}`
	list := func(d ...*Database) []*Database { return d }
	for _, c := range []struct {
		name, addr, want string
		databases        []*Database
	}{
		{"GeoLite2 City", "177.71.200.1", `,"geo":{"city_name":"São Paulo","region_name":"São Paulo","region_iso_code":"BR-SP",` + brazil +
			`,"postal_code":"01000","timezone":"America/Sao_Paulo","location":{"lat":-23.5475,"lon":-46.63611}}`, list(nested)},
		{"mapped address", "::ffff:177.71.200.1", `,"geo":{"city_name":"São Paulo","region_name":"São Paulo","region_iso_code":"BR-SP",` + brazil +
			`,"postal_code":"01000","timezone":"America/Sao_Paulo","location":{"lat":-23.5475,"lon":-46.63611}}`, list(nested)},
		{"IPv6 in the same file", "2804:431::1", `,"geo":{` + brazil + `}`, list(nested)},
		{"unknown", "5.5.5.5", "", list(nested, v4, v6, codes, as)},
		{"special-purpose address in the file", "10.1.2.3", "", list(nested)},
		{"the zero Addr", "", "", list(nested)},
		{"NaN", "9.0.0.1", `,"geo":{` + unitedStates + `}`, list(nested)},
		{"latitude out of range", "9.0.1.1", `,"geo":{` + unitedStates + `}`, list(nested)},
		{"infinite longitude", "9.0.2.1", `,"geo":{` + unitedStates + `}`, list(nested)},
		{"null island", "9.0.3.1", `,"geo":{` + unitedStates + `}`, list(nested)},
		{"half a position", "9.0.4.1", `,"geo":{` + unitedStates + `}`, list(nested)},
		{"fields of other kinds", "9.0.5.1", `,"geo":{"country_name":"text"}`, list(nested)},
		{"hostile name", "9.0.6.1", `,"geo":{"city_name":"a\"\u001b[31m"}`, list(nested)},
		{"record that is no map", "9.0.7.1", "", list(nested)},
		{"position on the edge", "9.0.8.1", `,"geo":{"location":{"lat":0,"lon":-180}}`, list(nested)},
		{"flat IPv4 file", "8.8.8.8", california, list(v4, v6)},
		{"flat IPv6 file", "2001:4860:4860::8888", california, list(v4, v6)},
		{"name from the code", "8.10.0.1", `,"geo":{"country_name":"Ivory Coast","country_iso_code":"CI","continent_name":"Africa","continent_code":"AF"}`, list(codes)},
		{"no country", "8.11.0.1", "", list(codes)},
		{"city and ASN", "8.8.8.8", california + google, list(v4, as)},
		{"number without organization", "8.9.0.1", `,"as":{"number":3356}`, list(as)},
		{"number out of range", "9.0.9.1", "", list(as)},
		{"places that disagree are not mixed", "8.8.8.8", `,"geo":{"country_name":"Canada","country_iso_code":"CA","continent_name":"North America","continent_code":"NA"}` + google, list(codes, v4, as)},
		{"no database", "8.8.8.8", "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, _ := netip.ParseAddr(c.addr)
			got := string(New(c.databases, nil).AppendFields([]byte("x"), a))
			if got != "x"+c.want {
				t.Errorf("got  %s\nwant x%s", got, c.want)
			}
			if !json.Valid([]byte(`{"ip":""` + got[1:] + `}`)) {
				t.Error("not JSON")
			}
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	for name, data := range map[string][]byte{
		"nothing":     nil,
		"text":        []byte("<html>404</html>"),
		"other data":  build(t, mmdbwriter.Options{DatabaseType: "GeoIP2-Anonymous-IP"}, networks{"8.8.8.0/24": mmdbtype.Map{"is_tor_exit_node": mmdbtype.Bool(true)}}),
		"no networks": build(t, mmdbwriter.Options{DatabaseType: "city"}, nil),
	} {
		if _, err := Open(name, data); fault.Of(err) != fault.BadInput || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A damaged file is refused, or is still a whole database of other content; it never panics or runs on.
func TestOpenDamaged(t *testing.T) {
	good := city(t)
	a := netip.MustParseAddr("177.71.200.1")
	try := func(what string, at int, data []byte) bool {
		d, err := Open("damaged", data)
		if err != nil {
			if fault.Of(err) != fault.BadInput {
				t.Fatalf("%s %d: %v", what, at, err)
			}
			return false
		}
		if doc := New([]*Database{d}, nil).AppendFields([]byte(`{"ip":""`), a); !json.Valid(append(doc, '}')) {
			t.Fatalf("%s %d: %s", what, at, doc)
		}
		return true
	}
	for n := range good {
		if try("truncated to", n, good[:n:n]) {
			t.Fatalf("accepted the first %d bytes of %d", n, len(good))
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for i := range good {
		data := bytes.Clone(good)
		data[i] ^= 1 << r.IntN(8)
		try("bit flipped at", i, data)
	}
	for i := range 2000 {
		data := bytes.Clone(good)
		for range 1 + r.IntN(20) {
			data[r.IntN(len(data))] = byte(r.Uint32())
		}
		try("damage", i, data)
	}
}

const rangesJSON = `{"syncToken":"1","createDate":"2026-01-01-00-00-00","prefixes":[
{"ip_prefix":"52.0.0.0/8","region":"us-east-1","service":"EC2","network_border_group":"us-east-1"},
{"ip_prefix":"52.1.0.0/16","region":"eu-west-1","service":"S3","network_border_group":"eu-west-1"},
{"ip_prefix":"52.1.0.0/16","region":"eu-west-1","service":"AMAZON","network_border_group":"eu-west-1"},
{"ip_prefix":"52.1.0.0/16","region":"eu-west-1","service":"EC2","network_border_group":"eu-west-1"},
{"ip_prefix":"3.5.140.0/22","region":"ap-northeast-2","service":"AMAZON","network_border_group":"ap-northeast-2"},
{"ip_prefix":"3.5.140.0/22","region":"ap-northeast-2","service":"EC2","network_border_group":"ap-northeast-2"}],
"ipv6_prefixes":[{"ipv6_prefix":"2600:1f18::/33","region":"us-east-1","service":"EC2","network_border_group":"us-east-1"}]}`

func TestRanges(t *testing.T) {
	r, err := OpenRanges("ip-ranges.json", []byte(rangesJSON))
	if err != nil {
		t.Fatal(err)
	}
	db := New([]*Database{open(t, asn(t))}, r)
	for addr, want := range map[string]string{
		"52.1.0.5":         `,"aws":{"hosted":true,"service":"S3","region":"eu-west-1"}`, // the original said EC2 us-east-1
		"52.2.0.5":         `,"aws":{"hosted":true,"service":"EC2","region":"us-east-1"}`,
		"3.5.141.1":        `,"aws":{"hosted":true,"service":"EC2","region":"ap-northeast-2"}`,
		"2600:1f18::1":     `,"aws":{"hosted":true,"service":"EC2","region":"us-east-1"}`,
		"::ffff:52.2.0.5":  `,"aws":{"hosted":true,"service":"EC2","region":"us-east-1"}`,
		"2600:1f18:8000::": "",
		"53.0.0.1":         "",
		"8.9.0.1":          `,"as":{"number":3356}`,
	} {
		if got := string(db.AppendFields(nil, netip.MustParseAddr(addr))); got != want {
			t.Errorf("%s: got %s, want %s", addr, got, want)
		}
	}
	for _, bad := range []string{"", "{}", "<html>", rangesJSON[:len(rangesJSON)-1], strings.Replace(rangesJSON, "52.0.0.0/8", "52.0.0.0/x", 1),
		strings.Replace(rangesJSON, `"ipv6_prefix"`, `"ip_prefix"`, 1)} {
		if _, err := OpenRanges("bad", []byte(bad)); fault.Of(err) != fault.BadInput {
			t.Errorf("%.20q: %v", bad, err)
		}
	}
}

func TestCountries(t *testing.T) {
	if len(countries) != 250 { // ISO 3166-1 and Kosovo
		t.Errorf("%d countries", len(countries))
	}
	for code, c := range countries {
		if len(code) != 2 || c.name == "" || continents[c.continent] == "" {
			t.Errorf("%q: %+v", code, c)
		}
	}
}

// BenchmarkAppendFields answers for random addresses, in no order and in order, from a real city database when GEO_TEST_DB
// names one, else from a small one whose tree is in the cache.
func BenchmarkAppendFields(b *testing.B) {
	data, file := city(b), os.Getenv("GEO_TEST_DB")
	if file != "" {
		var err error
		if data, err = os.ReadFile(file); err != nil {
			b.Fatal(err)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	addrs := make([]netip.Addr, 1<<16)
	for i := range addrs {
		addrs[i] = netip.AddrFrom4([4]byte{byte(1 + r.IntN(223)), byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32())})
		if file == "" {
			addrs[i] = netip.AddrFrom4([4]byte{177, 71, byte(128 + r.IntN(128)), byte(r.Uint32())})
		}
	}
	for _, order := range []string{"random", "sorted"} {
		if order == "sorted" {
			slices.SortFunc(addrs, netip.Addr.Compare)
		}
		b.Run(order, func(b *testing.B) {
			db := New([]*Database{open(b, data)}, nil)
			var dst []byte
			b.ReportAllocs()
			bytes := 0
			for i := 0; b.Loop(); i++ {
				dst = db.AppendFields(dst[:0], addrs[i&(len(addrs)-1)])
				bytes += len(dst)
			}
			b.SetBytes(int64(bytes / b.N))
		})
	}
}
