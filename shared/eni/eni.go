// Package eni knows network interfaces from snapshots, one for each account and region, that EniSnapshot takes: which
// VPC an interface is in and its security groups. They are facts that flow logs lack; without a snapshot they are missing.
package eni

import (
	"fmt"
	"maps"
	"time"
)

// Prefix is where snapshots lie in the data bucket.
const Prefix = "eni/"

// Key is where the snapshot of an account and region lies.
func Key(account, region string) string { return fmt.Sprintf("%s%s/%s.json", Prefix, account, region) }

// MaxSnapshot bounds the bytes of a stored snapshot.
const MaxSnapshot = 128 << 20

// Snapshot is the interfaces of an account and region, by id ("eni-…").
type Snapshot struct {
	Taken      time.Time            `json:"taken"`
	Interfaces map[string]Interface `json:"interfaces"`
}

// Interface is one network interface.
type Interface struct {
	VPC            string    `json:"vpc"`
	SecurityGroups []string  `json:"security_groups"`
	Seen           time.Time `json:"seen"` // when it was last there
}

// Remember adds the interfaces of an older snapshot that are gone by now and were seen within keep: their flow logs may
// still come.
func (s *Snapshot) Remember(older Snapshot, keep time.Duration) {
	for id, i := range maps.All(older.Interfaces) {
		if _, there := s.Interfaces[id]; !there && s.Taken.Sub(i.Seen) <= keep {
			s.Interfaces[id] = i
		}
	}
}
