package vpcflowlog

import (
	"strconv"
	"strings"
)

// protocolText holds the IANA keywords of protocols 0 to 147 in lower case; the few without a keyword got one here.
// https://www.iana.org/assignments/protocol-numbers
const protocolText = `hopopt icmp igmp ggp ipv4 st tcp cbt egp igp bbn-rcc-mon nvp-ii pup argus emcon xnet chaos udp mux
dcn-meas hmp prm xns-idp trunk-1 trunk-2 leaf-1 leaf-2 rdp irtp iso-tp4 netblt mfe-nsp merit-inp dccp 3pc idpr xtp ddp
idpr-cmtp tp++ il ipv6 sdrp ipv6-route ipv6-frag idrp rsvp gre dsr bna esp ah i-nlsp swipe narp min-ipv4 tlsp skip
ipv6-icmp ipv6-nonxt ipv6-opts any-host-internal cftp any-local-network sat-expak kryptolan rvd ippc any-distributed-fs
sat-mon visa ipcv cpnx cphb wsn pvp br-sat-mon sun-nd wb-mon wb-expak iso-ip vmtp secure-vmtp vines iptm nsfnet-igp dgp
tcf eigrp ospfigp sprite-rpc larp mtp ax.25 ipip micp scc-sp etherip encap any-private-encryption gmtp ifmp pnni pim
aris scps qnx a/n ipcomp snp compaq-peer ipx-in-ip vrrp pgm any-0-hop l2tp ddx iatp stp srp uti smp sm ptp
isis-over-ipv4 fire crtp crudp sscopmce iplt sps pipe sctp fc rsvp-e2e-ignore mobility-header udplite mpls-in-ip manet
hip shim6 wesp rohc ethernet aggfrag nsh homa bit-emu`

// transports holds the protocol names: reserved and experimental numbers have one too, unassigned ones are "".
var transports = func() (list [256]string) {
	copy(list[:], strings.Fields(protocolText))
	list[253], list[254], list[255] = "experimental-253", "experimental-254", "reserved"
	return list
}()

// families are the values of network.type.
var families = [3]string{"", "ipv4", "ipv6"}

// networks holds the ready first members of network by family and protocol number; the last column is for records
// without a protocol. Each member is led by a comma.
var networks = func() (table [3][257]string) {
	for f, family := range families {
		if family != "" {
			family = `,"type":"` + family + `"`
		}
		for n, name := range transports {
			table[f][n] = `,"iana_number":"` + strconv.Itoa(n) + `"`
			if name != "" {
				table[f][n] += `,"transport":"` + name + `"`
			}
			table[f][n] += family
		}
		table[f][noProtocol] = family
	}
	return table
}()

const noProtocol = 256

// flagNames holds the ready member for the low eight TCP flags; SYN-ACK is both.
var flagNames = func() (table [256]string) {
	bits := strings.Fields("fin syn rst psh ack urg ece cwr")
	for n := 1; n < len(table); n++ {
		var set []string
		for i, name := range bits {
			if n>>i&1 == 1 {
				set = append(set, `"`+name+`"`)
			}
		}
		table[n] = `,"tcp_flags_names":[` + strings.Join(set, ",") + "]"
	}
	return table
}()
