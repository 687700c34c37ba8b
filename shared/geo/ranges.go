package geo

import (
	"encoding/json"
	"net/netip"

	"github.com/gaissmai/bart"

	"stepsiem/shared/event"
	"stepsiem/shared/fault"
)

// Ranges are the addresses that AWS owns. It is safe for concurrent use.
type Ranges struct {
	table bart.Table[*awsNetwork]
}

// awsNetwork is one prefix's service and region, and the JSON member that says so.
type awsNetwork struct {
	service, region string
	json            []byte
}

// OpenRanges reads ip-ranges.json (https://docs.aws.amazon.com/vpc/latest/userguide/aws-ip-syntax.html), v4 and v6. Of
// equal prefixes the most specific service counts: AMAZON names everything, EC2 much of what others run on. A file that
// is not whole is fault.BadInput.
func OpenRanges(name string, data []byte) (*Ranges, error) {
	type prefix struct {
		V4      netip.Prefix `json:"ip_prefix"`
		V6      netip.Prefix `json:"ipv6_prefix"`
		Service string       `json:"service"`
		Region  string       `json:"region"`
	}
	var file struct {
		V4 []prefix `json:"prefixes"`
		V6 []prefix `json:"ipv6_prefixes"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, fault.New(fault.BadInput, "decode AWS ranges %s: %w", name, err)
	}
	if len(file.V4) == 0 {
		return nil, fault.New(fault.BadInput, "AWS ranges %s hold no prefixes", name)
	}
	r := &Ranges{}
	for i, p := range append(file.V4, file.V6...) {
		net := p.V4
		if i >= len(file.V4) {
			net = p.V6
		}
		if !net.IsValid() || p.Service == "" {
			return nil, fault.New(fault.BadInput, "AWS ranges %s: prefix %d is incomplete", name, i)
		}
		n := &awsNetwork{service: p.Service, region: p.Region}
		if old, ok := r.table.Get(net); ok && !n.moreSpecific(old) {
			continue
		}
		n.json = event.AppendString([]byte(`,"aws":{"hosted":true,"service":`), []byte(p.Service))
		n.json = event.AppendString(append(n.json, `,"region":`...), []byte(p.Region))
		n.json = append(n.json, '}')
		r.table.Insert(net, n)
	}
	return r, nil
}

// moreSpecific decides between two services of one prefix; among equals the alphabet does, whatever the file's order.
func (n *awsNetwork) moreSpecific(old *awsNetwork) bool {
	rank := func(service string) int {
		switch service {
		case "AMAZON":
			return 0
		case "EC2":
			return 1
		}
		return 2
	}
	if a, b := rank(n.service), rank(old.service); a != b {
		return a > b
	}
	return n.service < old.service
}

// appendFields appends `,"aws":{…}` when a, unmapped, belongs to AWS.
func (r *Ranges) appendFields(dst []byte, a netip.Addr) []byte {
	if n, ok := r.table.Lookup(a); ok {
		dst = append(dst, n.json...)
	}
	return dst
}
