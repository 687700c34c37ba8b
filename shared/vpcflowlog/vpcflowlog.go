// Package vpcflowlog reads VPC flow logs, versions 2 to 10, in the default or any custom field order, as text or Parquet.
//
// Specification: https://docs.aws.amazon.com/vpc/latest/userguide/flow-log-records.html
//
// source.ip and destination.ip are srcaddr and dstaddr (pkt-srcaddr and pkt-dstaddr in formats without these). Behind a NAT
// gateway or a transit gateway they are private while the packet's own address is public: that one is then the remote side. Its
// facts (geo, threat) are joined into source or destination, and the direction follows from it; the address itself is
// aws.vpcflow.pkt_source_ip or pkt_destination_ip.
//
// labels.direction is private-internal when neither side is public, public-outbound when only the destination is,
// public-inbound when only the source is. Between two public addresses flow-direction decides: egress is
// public-outbound, ingress is public-inbound, and without it the value is public-external. network.direction is inbound
// or outbound by flow-direction; in formats without it internal, outbound, inbound or external by the addresses.
package vpcflowlog

import (
	"bytes"

	"stepsiem/shared/event"
	"stepsiem/shared/format"
)

// Keep says which flows become documents; the others are counted as filtered.
type Keep string

const (
	All      Keep = "all"      // also the zero value's meaning
	Public   Keep = "public"   // flows with a public address
	Rejected Keep = "rejected" // flows with action REJECT
)

var (
	errNotPublic   error = event.Filtered("no public address")
	errNotRejected error = event.Filtered("not rejected")
)

// Interface is what is known of a network interface beside its flows.
type Interface struct {
	VPC            string
	SecurityGroups []string
}

// Config is fixed for a Format's life.
type Config struct {
	// Fields is the order of a custom format that comes without a header line, as in CloudWatch Logs: "account-id" or
	// "${account-id}". Lines that do not have that many fields are read as the default format.
	Fields []string
	Keep   Keep
	// ENI looks up an interface by its id; nil when nothing is known. It is called by several goroutines, once for each
	// interface of a run rather than once for each record, and must not block.
	ENI func(id string) (Interface, bool)
}

// Format is the format of VPC flow logs.
type Format struct {
	config Config
	plans  []*plan // of lines without a header
}

var defaultPlan = newPlan(names[:defaultFields])

// New returns the format. Fields without a documented meaning are kept as text under aws.vpcflow.extra.
func New(c Config) *Format {
	f := &Format{config: c}
	if n := len(c.Fields); n > 0 && n <= maxFields {
		f.plans = append(f.plans, newPlan(c.Fields))
	}
	f.plans = append(f.plans, defaultPlan)
	return f
}

// Type is the log type.
func (*Format) Type() string { return "vpcflowlog" }

// Framing is one record a line.
func (*Format) Framing() format.Framing { return format.Lines }

// Sniff is sure of header lines and of lines whose every field is valid, and suspects those with the default format's
// field count and version.
func (f *Format) Sniff(record []byte) int {
	if header(record) != nil {
		return 100
	}
	var fl flow
	switch err := f.open().read(f.plans, record, &fl); {
	case err == nil && (fl.sides() || fl.outcome != unstated):
		return 95
	case err == nil:
		return 30 // a custom format of words only: anything fits
	case bytes.HasPrefix(record, []byte("2 ")) && bytes.Count(record, []byte(" ")) == defaultFields-1:
		return 60
	}
	return 0
}

// Open starts an object or log stream; a header line holds until the next.
func (f *Format) Open() format.Parser { return f.open() }

func (f *Format) open() *parser { return newParser(&f.config, f.plans) }
