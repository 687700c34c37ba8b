package authlog

import "strings"

var (
	pamOpened   = newClass("session", "start", "session_opened", "success", "")
	pamClosed   = newClass("session", "end", "session_closed", "success", "")
	pamFailure  = newClass("authentication", "start", "pam_authentication", "failure", "")
	pamPassword = newClass("iam", "user,change", "password_changed", "success", "")
	pamMessage  = newClass("authentication", "info", "pam_message", "unknown", "")
)

// cutModule splits "pam_unix(sshd:session): message".
func cutModule(s string) (module, service, message string) {
	head, message, ok := strings.Cut(s, "): ")
	if !ok {
		return "", "", s
	}
	module, service, ok = strings.Cut(head, "(")
	if !ok || strings.Contains(module, " ") {
		return "", "", s
	}
	service, _, _ = strings.Cut(service, ":")
	return module, service, message
}

// switches reports whether the line is of a program that lets somebody become somebody else.
func (e *entry) switches() bool {
	service := e.service
	if service == "" {
		service = e.family
	}
	switch service {
	case "su", "su-l", "sudo", "sudo-i", "runuser", "runuser-l", "polkit-1":
		return true
	}
	return false
}

// pam reads what a PAM module says, whichever program it runs in.
func (e *entry) pam(s string) {
	e.class = pamMessage
	if rest, ok := strings.CutPrefix(s, "session opened for user "); ok {
		e.class = pamOpened
		e.opened(rest)
		return
	}
	if rest, ok := strings.CutPrefix(s, "session closed for user "); ok {
		e.class = pamClosed
		if e.switches() {
			e.effective = rest
		} else {
			e.user = rest
		}
		return
	}
	if rest, ok := strings.CutPrefix(s, "password changed for "); ok {
		e.class, e.target = pamPassword, rest
		return
	}
	if reason, rest, ok := strings.Cut(s, "; "); ok {
		switch {
		case reason == "authentication failure", strings.Contains(reason, " more authentication failure"):
			e.class, e.reason = pamFailure, reason
			e.peerOfModule(rest)
		case s == "check pass; user unknown":
			e.class, e.reason = pamFailure, "user unknown"
		}
	}
}

// opened reads "bob(uid=1000) by alice(uid=0)", in which either number and the second name may be missing.
func (e *entry) opened(s string) {
	who, by := s, ""
	if i := strings.LastIndex(s, " by "); i >= 0 {
		who, by = s[:i], s[i+len(" by "):]
	}
	who, id := cutUID(who)
	by, byID := cutUID(by)
	if e.switches() {
		e.user, e.userID, e.effective, e.effectiveID = by, byID, who, id
		return
	}
	e.user, e.userID = who, id
}

func cutUID(s string) (name, id string) {
	i := strings.LastIndex(s, "(uid=")
	if i < 0 {
		return s, ""
	}
	id = strings.TrimSuffix(s[i+len("(uid="):], ")")
	if _, ok := number(id, maxPID); !ok {
		return s, ""
	}
	return s[:i], id
}

// peerOfModule reads "logname= uid=0 euid=0 tty=ssh ruser= rhost=ADDRESS  user=NAME": the name last, and all of the rest.
func (e *entry) peerOfModule(s string) {
	_, s, _ = strings.Cut(s, "tty=")
	e.terminal, s = token(s)
	if e.terminal == "ssh" {
		e.terminal = ""
	}
	_, s, ok := strings.Cut(s, "ruser=")
	if !ok {
		return
	}
	by, s := token(s)
	if s, ok = strings.CutPrefix(s, "rhost="); !ok {
		return
	}
	e.address, s = token(s)
	user, _ := strings.CutPrefix(strings.TrimLeft(s, " "), "user=")
	if e.user = user; e.switches() && by != user { // sudo asks for one's own password, su for another's
		e.user, e.effective = by, user
	}
}
