package authlog

import "strings"

var (
	sudoCommand   = newClass("process", "start", "sudo_command", "success", "")
	sudoDenied    = newClass("authentication", "start", "sudo_denied", "failure", "")
	sudoContinued = newClass("process", "info", "sudo_command_continued", "unknown", "")
	suSuccess     = newClass("authentication", "start", "su", "success", "")
	suFailure     = newClass("authentication", "start", "su", "failure", "")
	loginSuccess  = newClass("authentication", "start", "login", "success", "")
	loginFailure  = newClass("authentication", "start", "login", "failure", "")
	sessionStart  = newClass("session", "start", "session_start", "success", "")
	sessionEnd    = newClass("session", "end", "session_end", "success", "")
	sessionLogout = newClass("session", "info", "session_logout", "success", "")
	cronCommand   = newClass("process", "start", "cron_command", "success", "")
	cronChange    = newClass("configuration", "change", "crontab_changed", "success", "")
	cronRead      = newClass("configuration", "access", "crontab_read", "success", "")
	pkexecCommand = newClass("process", "start", "pkexec_command", "success", "")
	pkexecDenied  = newClass("authentication", "start", "pkexec_denied", "failure", "")
	polkitSuccess = newClass("authentication", "start", "polkit_authentication", "success", "")
	polkitFailure = newClass("authentication", "start", "polkit_authentication", "failure", "")
)

// sudo reads "user : [reason ; ]TTY=pts/0 ; PWD=/home/user ; USER=root ; COMMAND=/bin/ls -l". The first COMMAND= begins
// the command, which is all of the rest.
func (e *entry) sudo(s string) {
	user, s, ok := strings.Cut(s, " : ")
	if !ok || strings.Contains(user, " ") {
		return
	}
	e.user = strings.TrimLeft(user, " ")
	if rest, ok := strings.CutPrefix(s, "(command continued) "); ok {
		e.class, e.command = sudoContinued, rest
		return
	}
	for first := true; s != ""; first = false {
		if command, ok := strings.CutPrefix(s, "COMMAND="); ok {
			e.command = command
			break
		}
		var part string
		part, s, _ = strings.Cut(s, " ; ")
		key, value, ok := strings.Cut(part, "=")
		switch {
		case ok && key == "TTY":
			e.terminal = unless(value, "unknown")
		case ok && key == "PWD":
			e.folder = value
		case ok && key == "USER":
			e.effective = value
		case ok && key == "GROUP":
			e.group = value
		case first:
			e.reason = part
		}
	}
	switch {
	case e.command == "", strings.HasPrefix(e.reason, "unable to "): // a warning, whatever became of the command
	case e.reason != "":
		e.class = sudoDenied
	default:
		e.class = sudoCommand
	}
}

// su reads the messages of util-linux, shadow and BSD.
func (e *entry) su(s string) {
	rest, failed := s, false
	for _, start := range [...]string{"FAILED SU ", "FAILED su ", "BAD SU "} {
		if rest, failed = strings.CutPrefix(s, start); failed {
			break
		}
	}
	class := suSuccess
	if failed {
		class = suFailure
	}
	rest, _ = strings.CutPrefix(rest, "Successful su ")
	switch {
	case strings.HasPrefix(rest, "(to "): // (to root) user on pts/0
		e.effective, rest, _ = strings.Cut(rest[len("(to "):], ") ")
		e.user, e.terminal, _ = strings.Cut(rest, " on ")
	case strings.HasPrefix(rest, "for "): // for root by user
		e.effective, e.user, _ = strings.Cut(rest[len("for "):], " by ")
	case strings.HasPrefix(rest, "+ "), strings.HasPrefix(rest, "- "): // + /dev/pts/0 user:root
		if rest[0] == '-' {
			class = suFailure
		}
		e.terminal, rest = token(rest[2:])
		e.user, e.effective, _ = strings.Cut(rest, ":")
	default: // user to root on /dev/ttyp0
		user, rest, ok := strings.Cut(rest, " to ")
		if effective, terminal, on := strings.Cut(rest, " on "); ok && on && !strings.Contains(user, " ") {
			e.user, e.effective, e.terminal = user, effective, terminal
			break
		}
		return
	}
	e.class = class
}

// login reads the messages of util-linux and shadow.
func (e *entry) login(s string) {
	if rest, ok := strings.CutPrefix(s, "FAILED LOGIN "); ok {
		e.class = loginFailure
		if i := strings.LastIndex(rest, ", "); i >= 0 {
			rest, e.reason = rest[:i], rest[i+2:]
		}
		where, user, _ := strings.Cut(rest, " FOR ")
		e.user = unquote(user)
		if _, terminal, ok := strings.Cut(where, "on '"); ok {
			e.terminal, _, _ = strings.Cut(terminal, "'")
		}
		if _, host, ok := strings.Cut(where, "FROM "); ok && host != "(null)" {
			e.address = host
		}
		return
	}
	if rest, ok := strings.CutPrefix(s, "LOGIN ON "); ok {
		e.class = loginSuccess
		e.terminal, rest = token(rest)
		e.user, e.address, _ = strings.Cut(strings.TrimPrefix(rest, "BY "), " FROM ")
		return
	}
	if rest, ok := strings.CutPrefix(s, "ROOT LOGIN "); ok {
		e.class, e.user = loginSuccess, "root"
		word, rest := token(strings.TrimLeft(rest, " "))
		if word != "on" && word != "ON" {
			return
		}
		terminal, rest := token(rest)
		_, from := token(rest)
		e.terminal, e.address = unquote(terminal), unquote(from)
	}
}

// logind reads "New session 3 of user ubuntu." and its kind.
func (e *entry) logind(s string) {
	if rest, ok := strings.CutPrefix(s, "New session "); ok {
		e.class = sessionStart
		_, user, _ := strings.Cut(rest, " of user ")
		user, _, _ = strings.Cut(user, " with class ")
		e.user = unquote(strings.TrimSuffix(user, "."))
		return
	}
	switch {
	case strings.HasPrefix(s, "Removed session "):
		e.class = sessionEnd
	case strings.HasPrefix(s, "Session ") && strings.Contains(s, " logged out"):
		e.class = sessionLogout
	}
}

// cron reads "(user) CMD (command)" and what crontab does.
func (e *entry) cron(s string) {
	user, rest, ok := strings.Cut(strings.TrimPrefix(s, "("), ") ")
	if !ok || s[0] != '(' {
		return
	}
	what, rest, _ := strings.Cut(rest, "(")
	switch rest = strings.TrimSuffix(rest, ")"); what {
	case "CMD ":
		e.class, e.command = cronCommand, strings.TrimLeft(rest, " ")
	case "REPLACE ", "DELETE ":
		e.class, e.target = cronChange, rest
	case "LIST ", "BEGIN EDIT ", "END EDIT ":
		e.class, e.target = cronRead, rest
	default:
		return // INFO, STARTUP and the like name no user
	}
	e.user = user
}

// pkexec reads "user: Executing command [USER=root] [TTY=unknown] [CWD=/home/user] [COMMAND=/bin/ls]".
func (e *entry) pkexec(s string) {
	user, rest, ok := strings.Cut(s, ": ")
	what, rest, braced := strings.Cut(rest, " [USER=")
	if !ok || !braced {
		return
	}
	e.user = user
	if e.class = pkexecCommand; what != "Executing command" {
		e.class, e.reason = pkexecDenied, what
	}
	e.effective, rest, _ = strings.Cut(rest, "] [TTY=")
	e.terminal, rest, _ = strings.Cut(rest, "] [CWD=")
	e.terminal = unless(e.terminal, "unknown")
	e.folder, e.command, _ = strings.Cut(rest, "] [COMMAND=")
	e.command = strings.TrimSuffix(e.command, "]")
}

// polkit reads "Operator of … FAILED to authenticate …" and "… successfully authenticated as unix-user:root …".
func (e *entry) polkit(s string) {
	rest, ok := strings.CutPrefix(s, "Operator of ")
	if !ok {
		return
	}
	_, rest = token(rest)
	if user, ok := strings.CutPrefix(rest, "successfully authenticated as unix-user:"); ok {
		e.class = polkitSuccess
		e.effective, _ = token(user)
	} else if strings.HasPrefix(rest, "FAILED to authenticate ") {
		e.class = polkitFailure
	}
}

// findProgram finds the program of a line without a header, by its tag or by what only one program says.
func (e *entry) findProgram(s string) bool {
	if module, service, _ := cutModule(s); strings.HasPrefix(module, "pam_") {
		e.setProgram(service)
		e.message = s
		return e.program != ""
	}
	try := entry{class: sshDefault}
	try.sshd(s)
	program := ""
	switch {
	case try.class != sshDefault:
		program = "sshd"
	case e.cutProgram(s):
		return true
	case strings.Contains(s, " : TTY=") && strings.Contains(s, " ; COMMAND="):
		program = "sudo"
	default:
		return false
	}
	e.setProgram(program)
	e.message = s
	return true
}
