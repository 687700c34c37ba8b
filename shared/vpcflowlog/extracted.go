package vpcflowlog

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// ordered is the plan that a subscription's extractedFields give for line: they name its values, so they tell the order of
// a format that nobody configured. It is nil where they do not name each value of the line and at least the two addresses.
// Equal values are told apart by the default order.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
func (p *parser) ordered(extracted, line []byte) *plan {
	var fields map[string]string
	if len(line) > maxLine || json.Unmarshal(extracted, &fields) != nil || len(fields) > maxFields {
		return nil
	}
	names := slices.SortedFunc(maps.Keys(fields), func(a, b string) int { return cmp.Or(rank(a)-rank(b), strings.Compare(a, b)) })
	var order []string
	for value := range bytes.FieldsSeq(line) {
		i := slices.IndexFunc(names, func(name string) bool { return fields[name] == string(value) })
		if i < 0 {
			return nil
		}
		order, names = append(order, normal(names[i])), slices.Delete(names, i, i+1)
	}
	if !slices.Contains(order, "srcaddr") || !slices.Contains(order, "dstaddr") {
		return nil
	}
	if key := strings.Join(order, " "); key != p.order {
		p.order, p.extracted = key, newPlan(order)
	}
	return p.extracted
}

// rank puts names in the default order, unknown ones behind.
func rank(name string) int {
	if f, ok := byName[normal(name)]; ok {
		return int(f)
	}
	return maxFields
}
