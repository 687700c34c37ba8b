package indicator

import (
	"slices"
	"time"

	"stepsiem/shared/event"
)

// AppendFields appends the top-level member `,"threat":{…}` of a document whose public addresses were looked up in the set
// version: threat.matched and threat.set always; threat.side, threat.indicator.* and threat.feed.name when source or
// destination, nil where there is no match, is named. When both are, the indicator is the source's, its ip holds both
// addresses, and the feeds are those of both.
func AppendFields(dst []byte, version string, source, destination *Match) []byte {
	matched := source != nil || destination != nil
	dst = append(dst, `,"threat":{"matched":`...)
	if matched {
		dst = append(dst, "true"...)
	} else {
		dst = append(dst, "false"...)
	}
	dst = event.AppendString(append(dst, `,"set":`...), []byte(version))
	if !matched {
		return append(dst, '}')
	}
	first := source
	dst = append(dst, `,"side":[`...)
	switch {
	case source == nil:
		first = destination
		dst = append(dst, `"destination"`...)
	case destination == nil:
		dst = append(dst, `"source"`...)
	default:
		dst = append(dst, `"source","destination"`...)
	}
	dst = append(dst, `],"indicator":{"type":"`...)
	if first.Addr.Is4() {
		dst = append(dst, "ipv4-addr"...)
	} else {
		dst = append(dst, "ipv6-addr"...)
	}
	dst = append(dst, `","name":"`...)
	if first.Prefix.IsSingleIP() {
		dst = first.Addr.AppendTo(dst)
	} else {
		dst = first.Prefix.AppendTo(dst)
	}
	dst = append(dst, `","ip":`...)
	if source != nil && destination != nil && source.Addr != destination.Addr {
		dst = append(source.Addr.AppendTo(append(dst, `["`...)), `","`...)
		dst = append(destination.Addr.AppendTo(dst), `"]`...)
	} else {
		dst = append(first.Addr.AppendTo(append(dst, '"')), '"')
	}
	dst = appendTime(dst, `,"first_seen":"`, first.FirstSeen)
	dst = appendTime(dst, `,"last_seen":"`, first.LastSeen)
	dst = append(append(dst, `,"confidence":"`...), level(first.Confidence)...)
	dst = event.AppendInt(append(dst, `","score":`...), int64(first.Confidence))
	dst = appendNames(append(dst, `,"provider":`...), first.Feeds)
	feeds := first.Feeds
	if source != nil && destination != nil && !slices.Equal(source.Feeds, destination.Feeds) {
		feeds = union(source.Feeds, destination.Feeds)
	}
	dst = appendNames(append(dst, `},"feed":{"name":`...), feeds)
	return append(dst, "}}"...)
}

// level is a confidence on the scale "None/Low/Med/High" of STIX 2.1, appendix A, in ECS's words.
func level(confidence int) string {
	switch {
	case confidence <= 0:
		return "None"
	case confidence < 30:
		return "Low"
	case confidence < 70:
		return "Medium"
	}
	return "High"
}

func appendTime(dst []byte, name string, t time.Time) []byte {
	if t.IsZero() {
		return dst
	}
	return append(t.AppendFormat(append(dst, name...), time.RFC3339), '"')
}

func appendNames(dst []byte, names []string) []byte {
	for i, name := range names {
		sep := byte(',')
		if i == 0 {
			sep = '['
		}
		dst = event.AppendString(append(dst, sep), []byte(name))
	}
	return append(dst, ']')
}
