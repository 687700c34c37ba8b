// Package catalog is the one list of log formats.
package catalog

import (
	"fmt"
	"strings"

	"stepsiem/shared/authlog"
	"stepsiem/shared/cloudtrail"
	"stepsiem/shared/format"
	"stepsiem/shared/vpcflowlog"
)

// Config holds what users can set of the formats.
type Config struct {
	KeepFlows     string // all, public or rejected
	FlowFormat    string // fields of flow logs without a header, blanks between
	AuthlogFilter string // see authlog.ParseFilter
	ENI           func(id string) (vpcflowlog.Interface, bool)
}

// Formats makes every format; adding one is a package and a line here.
func Formats(c Config) ([]format.Format, error) {
	keep := vpcflowlog.Keep(c.KeepFlows)
	switch keep {
	case vpcflowlog.All, vpcflowlog.Public, vpcflowlog.Rejected:
	default:
		return nil, fmt.Errorf("read flow setting: %q is none of all, public, rejected", c.KeepFlows)
	}
	rules, err := authlog.ParseFilter(c.AuthlogFilter)
	if err != nil {
		return nil, fmt.Errorf("read authlog filter: %w", err)
	}
	return []format.Format{
		cloudtrail.New(cloudtrail.Config{}),
		vpcflowlog.New(vpcflowlog.Config{Fields: strings.Fields(c.FlowFormat), Keep: keep, ENI: c.ENI}),
		authlog.New(authlog.Config{Filter: rules}),
	}, nil
}
