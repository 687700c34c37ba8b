package vpcflowlog

import (
	"slices"
	"strings"
	"testing"
)

// TestLegacy has every fault of the original that a flow log can show.
func TestLegacy(t *testing.T) {
	const head, tail = "2 123456789010 eni-1235b8ca123456789 ", " 4 336 1432917027 1432917142 ACCEPT OK"
	for _, c := range []struct {
		fault, line string
		want        map[string]any
	}{
		{"unknown protocols: SCTP", head + "10.0.0.1 10.0.0.2 5000 5001 132" + tail, map[string]any{"network.transport": "sctp", "network.iana_number": "132"}},
		{"unknown protocols: VRRP", head + "10.0.0.1 10.0.0.2 0 0 112" + tail, map[string]any{"network.transport": "vrrp"}},
		{"unknown protocols: OSPF", head + "10.0.0.1 10.0.0.2 0 0 89" + tail, map[string]any{"network.transport": "ospfigp"}},
		{"unassigned protocol", head + "10.0.0.1 10.0.0.2 0 0 200" + tail, map[string]any{"network.transport": nil, "network.iana_number": "200"}},
		{"NODATA", head + "- - - - - - - 1431280876 1431280934 - NODATA", map[string]any{"event.action": "nodata", "source": nil, "network": nil}},
		{"SKIPDATA", head + "- - - - - - - 1431280876 1431280934 - SKIPDATA", map[string]any{"event.action": "skipdata", "aws.vpcflow.log_status": "SKIPDATA"}},
		{"port services", head + "10.0.0.1 10.0.0.2 50000 443 6" + tail, map[string]any{"destination.service.name": "https", "source.service": nil}},
		{"port services by protocol", head + "10.0.0.1 10.0.0.2 514 514 17" + tail, map[string]any{"source.service.name": "syslog"}},
		{"port services by protocol", head + "10.0.0.1 10.0.0.2 514 514 6" + tail, map[string]any{"source.service.name": "shell"}},
		{"no services without ports", head + "10.0.0.1 10.0.0.2 80 80 1" + tail, map[string]any{"source.service": nil}},
		{"all security groups", head + "10.0.0.1 10.0.0.2 1 2 6" + tail, map[string]any{"aws.vpcflow.vpc_id": "vpc-known", "aws.vpcflow.security_groups": "sg-1 sg-2"}},
		{"a deleted interface", "2 1 eni-gone 10.0.0.1 10.0.0.2 1 2 6" + tail, map[string]any{"aws.vpcflow.interface_id": "eni-gone", "aws.vpcflow.security_groups": nil}},
		{"100.64/10 is not public", head + "100.64.0.1 10.0.0.2 1 2 6" + tail, map[string]any{"labels.direction": "private-internal"}},
		{"169.254/16 is not public", head + "169.254.169.254 10.0.0.2 1 2 6" + tail, map[string]any{"labels.direction": "private-internal"}},
		{"127/8 is not public", head + "127.0.0.1 10.0.0.2 1 2 6" + tail, map[string]any{"labels.direction": "private-internal"}},
		{"IPv6 ULA is not public", head + "fd00::1 fe80::1 1 2 6" + tail, map[string]any{"labels.direction": "private-internal", "network.type": "ipv6"}},
		{"outbound", head + "10.0.0.2 9.9.9.9 1 2 6" + tail, map[string]any{"labels.direction": "public-outbound", "network.direction": "outbound"}},
		{"inbound", head + "9.9.9.9 10.0.0.2 1 2 6" + tail, map[string]any{"labels.direction": "public-inbound", "network.direction": "inbound"}},
		{"both public", head + "9.9.9.9 8.8.8.8 1 2 6" + tail, map[string]any{"labels.direction": "public-external", "network.direction": "external"}},
		{"REJECT is a flow as any other", head + "9.9.9.9 10.0.0.2 1 2 6 4 336 1432917027 1432917142 REJECT OK",
			map[string]any{"event.outcome": "failure", "source.ip": "9.9.9.9", "labels.direction": "public-inbound"}},
		{"numbers are whole", head + "9.9.9.9 10.0.0.2 1 2 6 4 9223372036854775807 1432917027 1432917142 ACCEPT OK", map[string]any{"network.bytes": 9223372036854775807.0}},
	} {
		m := decode(t, parse(New(Config{ENI: eni}), c.line)[0])
		for path, want := range c.want {
			got := get(m, path)
			if list, ok := got.([]any); ok {
				var all []string
				for _, v := range list {
					all = append(all, v.(string))
				}
				got = strings.Join(all, " ")
			}
			if got != want {
				t.Errorf("%s: %s is %v, want %v", c.fault, path, got, want)
			}
		}
	}
}

func TestFlowDirectionDecides(t *testing.T) {
	f := New(Config{Fields: strings.Fields("srcaddr dstaddr flow-direction")})
	for line, want := range map[string][2]string{
		"9.9.9.9 8.8.8.8 ingress":   {"inbound", "public-inbound"},
		"9.9.9.9 8.8.8.8 egress":    {"outbound", "public-outbound"},
		"10.0.0.1 10.0.0.2 egress":  {"outbound", "private-internal"},
		"10.0.0.1 8.8.8.8 ingress":  {"inbound", "public-outbound"},
		"10.0.0.1 10.0.0.2 -":       {"internal", "private-internal"},
		"2a00::1 2600::1 egress":    {"outbound", "public-outbound"},
		"9.9.9.9 192.168.1.1 -":     {"inbound", "public-inbound"},
		"169.254.169.123 9.9.9.9 -": {"outbound", "public-outbound"},
	} {
		m := decode(t, parse(f, line)[0])
		if got := [2]string{get(m, "network.direction").(string), get(m, "labels.direction").(string)}; got != want {
			t.Errorf("%s: %v, want %v", line, got, want)
		}
	}
}

// TestInterfaceLookups: the original described the interface once a record.
func TestInterfaceLookups(t *testing.T) {
	var asked []string
	f := New(Config{ENI: func(id string) (Interface, bool) {
		asked = append(asked, id)
		return Interface{}, false
	}})
	var lines []string
	for i := range 100 {
		lines = append(lines, "2 1 eni-"+string(rune('a'+i%3))+" 10.0.0.1 10.0.0.2 1 2 6 4 336 1432917027 1432917142 ACCEPT OK")
	}
	parse(f, lines...)
	if slices.Sort(asked); !slices.Equal(asked, []string{"eni-a", "eni-b", "eni-c"}) {
		t.Errorf("asked for %v", asked)
	}
}

func TestServices(t *testing.T) {
	if n := len(known.member); n < 1000 {
		t.Errorf("only %d services", n)
	}
	for _, c := range []struct {
		port     uint64
		protocol int
		want     string
	}{{22, 6, "ssh"}, {53, 17, "domain"}, {53, 6, "domain"}, {80, 6, "http"}, {443, 6, "https"}, {3306, 6, "mysql"}, {3389, 6, "ms-wbt-server"},
		{5432, 6, "postgresql"}, {6379, 6, "redis"}, {123, 17, "ntp"}, {8080, 6, "http-alt"}, {27017, 6, "mongodb"}, {0, 6, ""}, {65535, 6, ""}, {443, 132, ""}} {
		if want := known.of(c.port, c.protocol); c.want == "" && want != "" || !strings.Contains(want, c.want) {
			t.Errorf("%d/%d is %s, want %s", c.port, c.protocol, want, c.want)
		}
	}
}

func TestProtocols(t *testing.T) {
	for n, want := range map[int]string{0: "hopopt", 1: "icmp", 6: "tcp", 17: "udp", 33: "dccp", 41: "ipv6", 47: "gre", 50: "esp", 51: "ah", 58: "ipv6-icmp",
		88: "eigrp", 89: "ospfigp", 94: "ipip", 103: "pim", 112: "vrrp", 115: "l2tp", 121: "smp", 132: "sctp", 136: "udplite", 139: "hip", 142: "rohc",
		143: "ethernet", 147: "bit-emu", 148: "", 252: "", 255: "reserved"} {
		if transports[n] != want {
			t.Errorf("%d is %q, want %q", n, transports[n], want)
		}
	}
}

// FuzzParse feeds a header and lines: every document is one JSON object without duplicate keys that names its time, and
// a second parse is identical.
func FuzzParse(f *testing.F) {
	f.Add("", "2 123456789010 eni-1 9.9.9.9 10.0.0.2 443 50000 6 20 4249 1418530010 1418530070 ACCEPT OK")
	f.Add("", "2 123456789010 eni-1 - - - - - - - 1431280876 1431280934 - NODATA")
	f.Add("srcaddr action unheard", "9.9.9.9 REJECT \x1b\"\\")
	f.Add("unheard Unheard start start", "a b 1 2")
	for _, line := range sample(3, v5) {
		f.Add(v5, string(line))
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		lines := []string{first, second, second}
		format := New(Config{ENI: eni})
		docs := parse(format, lines...)
		for i, doc := range docs {
			if strings.HasPrefix(doc, "!") {
				continue
			}
			m := decode(t, doc)
			original := string([]rune(lines[i])) // bad bytes become U+FFFD
			if get(m, "@timestamp") == nil || get(m, "event.original") != original {
				t.Errorf("%q became %s", lines[i], doc)
			}
			if s := format.Sniff([]byte(lines[i])); i == 0 && s < 30 {
				t.Errorf("%q is parsed, and sniffed at %d", lines[i], s)
			}
		}
		if again := parse(format, lines...); !slices.Equal(docs, again) {
			t.Errorf("%q then %q", docs, again)
		}
	})
}
