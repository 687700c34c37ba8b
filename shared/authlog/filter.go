package authlog

import (
	"fmt"
	"strings"

	"stepsiem/shared/event"
)

// DefaultFilter is what the original system ignored.
const DefaultFilter = "cron,crond,sshd:input_userauth_request,sshd:reverse mapping checking getaddrinfo"

// Rule leaves out the lines of a program: all of them, or those whose message starts with Start. Start is text that the
// program itself writes; nothing is looked for further on in the message, where others' text stands.
type Rule struct {
	Program, Start string
	reason         error // an event.Filtered
}

// ParseFilter reads rules "program" or "program:message start", separated by commas; upper and lower case are the same.
// An empty text has no rules.
func ParseFilter(s string) ([]Rule, error) {
	if strings.TrimSpace(s) == "" {
		return nil, nil
	}
	var rules []Rule
	for part := range strings.SplitSeq(s, ",") {
		program, start, _ := strings.Cut(part, ":")
		r := Rule{Program: strings.TrimSpace(program), Start: strings.TrimSpace(start)}
		if r.Program == "" {
			return nil, fmt.Errorf("parse filter rule %q: no program", part)
		}
		if r.reason = event.Filtered("ignored program " + r.Program); r.Start != "" {
			r.reason = event.Filtered("ignored message " + r.Program + ": " + r.Start)
		}
		rules = append(rules, r)
	}
	return rules, nil
}

func (r *Rule) match(e *entry, message string) bool {
	return starts(message, r.Start) && (len(e.family) == len(r.Program) && starts(e.family, r.Program) ||
		len(e.base) == len(r.Program) && starts(e.base, r.Program))
}

// starts reports whether s starts with prefix, in whatever case.
func starts(s, prefix string) bool {
	switch {
	case prefix == "":
		return true
	case len(s) < len(prefix) || s[0]|0x20 != prefix[0]|0x20: // nearly always
		return false
	}
	return strings.EqualFold(s[:len(prefix)], prefix)
}
