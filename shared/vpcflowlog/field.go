package vpcflowlog

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"stepsiem/shared/event"
)

// field is one of the fields that AWS documents for flow log records, versions 2 to 10.
type field uint8

const (
	version field = iota // the first fourteen are the default format, in its order
	accountID
	interfaceID
	srcAddr
	dstAddr
	srcPort
	dstPort
	protocol
	packets
	octets
	start
	end
	action
	logStatus
	vpcID // 3
	subnetID
	instanceID
	tcpFlags
	ipType
	pktSrcAddr
	pktDstAddr
	region // 4
	azID
	sublocationType
	sublocationID
	pktSrcService // 5
	pktDstService
	flowDirection
	trafficPath
	ecsClusterARN // 7
	ecsClusterName
	ecsContainerInstanceARN
	ecsContainerInstanceID
	ecsContainerID
	ecsSecondContainerID
	ecsServiceName
	ecsTaskDefinitionARN
	ecsTaskARN
	ecsTaskID
	rejectReason     // 8
	resourceID       // 9
	encryptionStatus // 10
	numFields

	defaultFields = int(logStatus) + 1
)

var names = [numFields]string{"version", "account-id", "interface-id", "srcaddr", "dstaddr", "srcport", "dstport", "protocol",
	"packets", "bytes", "start", "end", "action", "log-status", "vpc-id", "subnet-id", "instance-id", "tcp-flags", "type",
	"pkt-srcaddr", "pkt-dstaddr", "region", "az-id", "sublocation-type", "sublocation-id", "pkt-src-aws-service",
	"pkt-dst-aws-service", "flow-direction", "traffic-path", "ecs-cluster-arn", "ecs-cluster-name", "ecs-container-instance-arn",
	"ecs-container-instance-id", "ecs-container-id", "ecs-second-container-id", "ecs-service-name", "ecs-task-definition-arn",
	"ecs-task-arn", "ecs-task-id", "reject-reason", "resource-id", "encryption-status"}

// identity lists the fields that an interface keeps from record to record, in the order they are written under
// aws.vpcflow; accountID to instanceID go under cloud.
var (
	identity = [...]field{version, interfaceID, vpcID, subnetID, sublocationType, sublocationID, resourceID, ecsClusterARN,
		ecsClusterName, ecsContainerInstanceARN, ecsContainerInstanceID, ecsContainerID, ecsSecondContainerID, ecsServiceName,
		ecsTaskDefinitionARN, ecsTaskARN, ecsTaskID}
	cloud = [...]field{accountID, region, azID, instanceID}
)

var byName = func() map[string]field {
	m := make(map[string]field, numFields)
	for f, name := range names {
		m[name] = field(f)
	}
	return m
}()

// invalid holds one ready error a field: a line costs no allocation however bad it is.
var invalid = func() (errs [numFields]error) {
	what := map[field]string{version: "a number", srcAddr: "an IP address", dstAddr: "an IP address",
		pktSrcAddr: "an IP address", pktDstAddr: "an IP address", srcPort: "a port", dstPort: "a port",
		protocol: "a protocol number", packets: "a number below 2^63", octets: "a number below 2^63",
		start: "a time from 1970 to 9999", end: "a time from 1970 to 9999", action: "ACCEPT or REJECT",
		logStatus: "OK, NODATA or SKIPDATA", flowDirection: "ingress or egress", tcpFlags: "a number below 2^16",
		trafficPath: "a number below 2^16", encryptionStatus: "a number below 2^16"}
	for f, w := range what {
		errs[f] = fmt.Errorf("field %s is not %s", names[f], w)
	}
	return errs
}()

var (
	errEmpty = errors.New("a field is empty")
	errLong  = fmt.Errorf("line is longer than %d bytes", maxLine)
)

const (
	maxLine   = 16 << 10 // of a record; the longest real ones have about 1,500 bytes
	maxFields = 96       // in a format
)

// plan is what one field order asks of a line.
type plan struct {
	count  int
	index  [numFields]uint8 // position from 1 in the line; 0 when the format lacks the field
	runs   []run            // neighbouring identity fields
	extra  []extra
	more   bool // it has fields that differ from record to record beside the default ones
	errors struct{ count error }
}

// run is a stretch of positions, from 0, first to last.
type run struct{ first, last int }

// extra is a field that is not documented.
type extra struct {
	index uint8
	key   string // `"name":"`
}

// newPlan reads a field order. When a name comes twice the last one counts.
func newPlan(order []string) *plan {
	p := &plan{count: len(order)}
	p.errors.count = fmt.Errorf("line does not have the %d fields of its format", p.count)
	usual, stays := make([]bool, len(order)), make([]bool, len(order))
	for i, name := range order {
		name = normal(name)
		if f, ok := byName[name]; ok {
			p.index[f], usual[i] = uint8(i+1), int(f) < defaultFields
			continue
		}
		key := string(event.AppendString(nil, []byte(strings.ReplaceAll(name, "-", "_")))) + `:"`
		at := len(p.extra)
		for j := range p.extra {
			if p.extra[j].key == key {
				at = j
			}
		}
		p.extra = append(p.extra[:at], extra{uint8(i + 1), key})
	}
	for _, list := range [][]field{identity[:], cloud[:]} {
		for _, f := range list {
			if i := p.index[f]; i > 0 {
				stays[i-1] = true
			}
		}
	}
	for i := range stays {
		p.more = p.more || !stays[i] && !usual[i]
		switch {
		case !stays[i]:
		case i > 0 && stays[i-1]:
			p.runs[len(p.runs)-1].last = i
		default:
			p.runs = append(p.runs, run{i, i})
		}
	}
	return p
}

// normal is a field's documented spelling: "${account-id}", "account_id" and "ACCOUNT-ID" are all "account-id".
func normal(name string) string {
	name = strings.TrimSuffix(strings.TrimPrefix(name, "${"), "}")
	return strings.ReplaceAll(strings.ToLower(name), "_", "-")
}

// header returns the plan of a header line: nothing but names, most of them known.
func header(line []byte) *plan {
	if len(line) > maxLine {
		return nil
	}
	count := 0
	for name := range bytes.FieldsSeq(line) {
		if count++; count > maxFields || !named(name) {
			return nil
		}
	}
	order, known := strings.Fields(string(line)), 0
	for _, name := range order {
		if _, ok := byName[normal(name)]; ok {
			known++
		}
	}
	if 2*known <= count {
		return nil
	}
	return newPlan(order)
}

// named reports whether s could be a field's name.
func named(s []byte) bool {
	s = bytes.TrimSuffix(bytes.TrimPrefix(s, []byte("${")), []byte("}"))
	for i, c := range s {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (i == 0 || c != '-' && c != '_' && (c < '0' || c > '9')) {
			return false
		}
	}
	return len(s) > 0
}
