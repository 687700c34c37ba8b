package vpcflowlog

import (
	"net/netip"

	"stepsiem/shared/address"
	"stepsiem/shared/event"
)

// parser reads one object or log stream.
type parser struct {
	config *Config
	plans  []*plan
	plan   *plan // of the line at hand
	ends   [maxFields + 1]int32
	plain  bool // the line at hand needs no escapes
	faces  []face
	// extracted is the plan of the last line whose subscription named its fields, in this order.
	extracted *plan
	order     string
}

func newParser(c *Config, plans []*plan) *parser {
	p := &parser{config: c, plans: plans}
	p.ends[0] = -1
	return p
}

// Parse writes the document of one line.
func (p *parser) Parse(record []byte, d *event.Doc) error {
	if len(record) == 0 {
		return event.ErrSkip
	}
	if c := record[0]; c > '9' || c == '$' {
		if h := header(record); h != nil {
			p.plans = []*plan{h}
			return event.ErrSkip
		}
	}
	plans := p.plans
	if d.Origin != nil && len(d.Origin.Fields) > 0 {
		if o := p.ordered(d.Origin.Fields, record); o != nil {
			plans = []*plan{o}
		}
	}
	var f flow
	if err := p.read(plans, record, &f); err != nil {
		return err
	}
	src, dst := remote(f.srcIP, f.pktSrcIP), remote(f.dstIP, f.pktDstIP)
	srcPublic, dstPublic := address.Public(src), address.Public(dst)
	switch p.config.Keep {
	case Public:
		if !srcPublic && !dstPublic {
			return errNotPublic
		}
	case Rejected:
		if f.outcome != rejected {
			return errNotRejected
		}
	}
	p.write(record, &f, src, dst, f.direction(srcPublic, dstPublic), d)
	return nil
}

// remote is the address that stands for a side: the packet's own one when it is public and the interface's is not.
func remote(a, packet netip.Addr) netip.Addr {
	if packet.IsValid() && a != packet && !address.Public(a) && address.Public(packet) {
		return packet
	}
	return a
}

// direction is a pair of ready texts: the last member of network, and what closes labels and the document.
type direction struct{ network, labels string }

var directions = [...]direction{
	none:     {"", "}}"},
	inbound:  {`,"direction":"inbound"`, `,"direction":"public-inbound"}}`},
	outbound: {`,"direction":"outbound"`, `,"direction":"public-outbound"}}`},
	internal: {`,"direction":"internal"`, `,"direction":"private-internal"}}`},
	external: {`,"direction":"external"`, `,"direction":"public-external"}}`},
}

// ways are the members that flow-direction becomes.
var ways = [...]string{none: "", inbound: `,"flow_direction":"ingress"`, outbound: `,"flow_direction":"egress"`}

const (
	none = iota
	inbound
	outbound
	internal
	external
)

func (f *flow) direction(srcPublic, dstPublic bool) direction {
	by := none
	switch {
	case !f.srcIP.IsValid() || !f.dstIP.IsValid():
	case srcPublic && dstPublic:
		by = external
		if f.way != none {
			by = int(f.way)
		}
	case srcPublic:
		by = inbound
	case dstPublic:
		by = outbound
	default:
		by = internal
	}
	d := directions[by]
	if f.way != none {
		d.network = directions[f.way].network
	}
	return d
}

// verdicts are the members of event, and those of aws.vpcflow, that an outcome decides.
var verdicts = [...]struct{ event, flow string }{
	unstated: {`,"kind":"event","category":["network"],"type":["connection"]`, ``},
	accepted: {`,"kind":"event","category":["network"],"type":["connection","allowed"],"action":"accept","outcome":"success"`, `,"action":"ACCEPT"`},
	rejected: {`,"kind":"event","category":["network"],"type":["connection","denied"],"action":"reject","outcome":"failure"`, `,"action":"REJECT"`},
	nodata:   {`,"kind":"event","category":["network"],"type":["info"],"action":"nodata"`, `,"log_status":"NODATA"`},
	skipdata: {`,"kind":"event","category":["network"],"type":["info"],"action":"skipdata"`, `,"log_status":"SKIPDATA"`},
}

// write appends the document. Members are written with a leading comma; open blanks the one behind a brace.
func (p *parser) write(line []byte, f *flow, src, dst netip.Addr, dir direction, d *event.Doc) {
	from := len(d.Buf)
	d.Begin(f.time(d))
	b := append(d.Buf, verdicts[f.outcome].event...)
	if f.start >= 0 { // as @timestamp, just written
		b = append(b, `,"start":"`...)
		b = append(b, b[from+len(`{"@timestamp":"`):][:len("2006-01-02T15:04:05.000Z")]...)
		b = append(b, '"')
	}
	if f.end >= 0 {
		b = d.Calendar.AppendTime(append(b, `,"end":"`...), f.end*1000)
		b = append(b, '"')
	}
	if p.plain {
		b = append(append(append(b, `,"original":"`...), line...), '"')
	} else {
		d.Buf = b
		d.Original(line)
		b = d.Buf
	}
	b = append(b, f.face...)
	b = p.members(b, line, f)

	if f.src != nil || f.srcPort != nil || f.packets != nil || f.bytes != nil {
		b = append(b, `,"source":{`...)
		at := len(b)
		b = ip(b, `,"ip":"`, f.src, f.srcIP)
		b = number(b, `,"port":`, f.srcPort)
		b = append(b, f.srcService...)
		b = number(b, `,"packets":`, f.packets)
		b = number(b, `,"bytes":`, f.bytes)
		if d.Buf = open(b, at); src.IsValid() {
			d.MarkSource(src)
		}
		b = append(b, '}')
	}
	if f.dst != nil || f.dstPort != nil {
		b = append(b, `,"destination":{`...)
		at := len(b)
		b = ip(b, `,"ip":"`, f.dst, f.dstIP)
		b = number(b, `,"port":`, f.dstPort)
		b = append(b, f.dstService...)
		if d.Buf = open(b, at); dst.IsValid() {
			d.MarkDestination(dst)
		}
		b = append(b, '}')
	}
	before := len(b)
	b = append(b, `,"network":{`...)
	at := len(b)
	b = append(b, networks[f.family][f.protocol]...)
	b = number(b, `,"bytes":`, f.bytes)
	b = number(b, `,"packets":`, f.packets)
	b = append(b, dir.network...)
	if len(b) == at {
		d.Buf = append(b[:before], ',')
	} else {
		d.Buf = append(open(b, at), "},"...)
	}
	d.Labels()
	d.Buf = append(d.Buf, dir.labels...)
}

// time is @timestamp: the start of the capture window, else its end, else when the record was delivered, in milliseconds.
func (f *flow) time(d *event.Doc) int64 {
	switch {
	case f.start >= 0:
		return f.start * 1000
	case f.end >= 0:
		return f.end * 1000
	case d.Origin != nil:
		return d.Origin.Time
	}
	return d.Source.Time.UnixMilli()
}

// members appends the flow's own members of aws.vpcflow and closes it and aws.
func (p *parser) members(b, line []byte, f *flow) []byte {
	at := len(b)
	b = append(b, verdicts[f.outcome].flow...)
	if f.ok {
		b = append(b, `,"log_status":"OK"`...)
	}
	if p.plan.more {
		b = word(b, `,"type":"`, p.text(line, ipType))
		if f.tcpFlags != nil {
			b = number(b, `,"tcp_flags":`, f.tcpFlags)
			b = append(b, flagNames[f.flags]...)
		}
		b = ip(b, `,"pkt_source_ip":"`, f.pktSrc, f.pktSrcIP)
		b = ip(b, `,"pkt_destination_ip":"`, f.pktDst, f.pktDstIP)
		b = word(b, `,"pkt_source_service":"`, p.text(line, pktSrcService))
		b = word(b, `,"pkt_destination_service":"`, p.text(line, pktDstService))
		b = append(b, ways[f.way]...)
		b = number(b, `,"traffic_path":`, f.trafficPath)
		b = word(b, `,"reject_reason":"`, p.text(line, rejectReason))
		b = number(b, `,"encryption_status":`, f.encrypted)
		b = p.extra(b, line)
	}
	if b[at-1] == '{' {
		b = open(b, at)
	}
	return append(b, `}}`...)
}
