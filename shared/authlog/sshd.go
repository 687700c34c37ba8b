package authlog

import (
	"strings"

	"stepsiem/shared/address"
)

var (
	sshKeyLogin      = newClass("authentication", "start", "ssh_login", "success", "SuccessfulLoginKey")
	sshPasswordLogin = newClass("authentication", "start", "ssh_login", "success", "SuccessfulLoginPassword")
	sshFailed        = newClass("authentication", "start", "ssh_login", "failure", "FailedLogin")
	sshInvalidUser   = newClass("authentication", "start", "ssh_invalid_user", "failure", "FailedLogin")
	sshNotAllowed    = newClass("authentication", "start", "ssh_not_allowed", "failure", "FailedLogin")
	sshMaxTries      = newClass("authentication", "end", "ssh_max_tries", "failure", "MaxAuthTries")
	sshPending       = newClass("authentication", "info", "ssh_login_pending", "unknown", "SSHDefault")
	sshRefused       = newClass("authentication", "info", "ssh_key_refused", "failure", "SSHDefault")
	sshScan          = newClass("network", "connection,protocol", "ssh_scan", "failure", "PossiblePortScanningAttempt")
	sshClosed        = newClass("network", "connection,end", "ssh_disconnect", "unknown", "ConnectionClosed")
	sshTimeout       = newClass("network", "connection,end", "ssh_timeout", "failure", "ConnectionClosed")
	sshConnection    = newClass("network", "connection,start", "ssh_connection", "unknown", "SSHDefault")
	sshDropped       = newClass("network", "connection,denied", "ssh_connection_dropped", "failure", "SSHDefault")
	sshReverse       = newClass("network", "info", "ssh_reverse_mapping", "unknown", "SSHDefault")
	sshSessionStart  = newClass("session", "start", "ssh_session_start", "success", "SSHDefault")
	sshSessionEnd    = newClass("session", "end", "ssh_session_end", "success", "SSHDefault")
	sshServerStart   = newClass("process", "start", "ssh_server_start", "success", "SSHDefault")
	sshServerEnd     = newClass("process", "end", "ssh_server_end", "success", "SSHDefault")
	sshDefault       = newClass("network", "info", "message", "unknown", "SSHDefault")
)

// message is a kind of message, told by its start.
type message struct {
	start string
	class *class               // nil when parse alone knows
	parse func(*entry, string) // reads what follows start; nil when nothing follows that matters
}

// messages are kinds by their first byte, in the order in which they are tried.
type messages [128][]message

func index(list []message) *messages {
	var m messages
	for _, k := range list {
		m[k.start[0]] = append(m[k.start[0]], k)
	}
	return &m
}

func (m *messages) read(e *entry, s string) {
	if s == "" || s[0] >= 128 {
		return
	}
	for i := range m[s[0]] {
		k := &m[s[0]][i]
		if rest, ok := strings.CutPrefix(s, k.start); ok {
			if k.class != nil {
				e.class = k.class
			}
			if k.parse != nil {
				k.parse(e, rest)
			}
			return
		}
	}
}

var sshMessages = index([]message{
	{"Accepted ", nil, (*entry).accepted},
	{"Address ", sshReverse, (*entry).mapped},
	{"Authentication tried for ", sshNotAllowed, (*entry).tried},
	{"Authentication refused", sshRefused, (*entry).refused},
	{"Bad protocol version identification ", sshScan, (*entry).from},
	{"Bad remote protocol version identification", sshScan, nil},
	{"Connection closed by ", sshClosed, (*entry).connection},
	{"Connection reset by ", sshClosed, (*entry).connection},
	{"Connection from ", sshConnection, (*entry).peerFirst},
	{"Close session: ", sshSessionEnd, (*entry).session},
	{"Did not receive identification string from ", sshScan, (*entry).connection},
	{"Disconnected from ", sshClosed, (*entry).connection},
	{"Disconnecting ", sshClosed, (*entry).connectionReason},
	{"Disconnecting: ", sshClosed, (*entry).because},
	{"Exiting on signal", sshServerEnd, nil},
	{"Failed ", nil, (*entry).failed},
	{"Invalid user ", sshInvalidUser, (*entry).from},
	{"Illegal user ", sshInvalidUser, (*entry).from},
	{"PAM: ", nil, (*entry).pamError},
	{"PAM ", nil, (*entry).pam},
	{"Partial ", sshPending, (*entry).pending},
	{"Postponed ", sshPending, (*entry).pending},
	{"Protocol major versions differ for ", sshScan, (*entry).connectionReason},
	{"Read error from remote host ", sshClosed, (*entry).connectionReason},
	{"Received disconnect from ", nil, (*entry).received},
	{"Received signal ", sshServerEnd, nil},
	{"ROOT LOGIN REFUSED FROM ", sshNotAllowed, (*entry).rootRefused},
	{"Server listening on ", sshServerStart, nil},
	{"Starting session: ", sshSessionStart, (*entry).session},
	{"Timeout before authentication for connection from ", sshTimeout, (*entry).peerFirst},
	{"Timeout before authentication for ", sshTimeout, (*entry).connection},
	{"Timeout, client not responding from ", sshTimeout, (*entry).connection},
	{"Too many authentication failures for ", sshClosed, (*entry).tooMany},
	{"User ", nil, (*entry).notAllowed},
	{"Unable to negotiate with ", sshScan, (*entry).connectionReason},
	{"banner exchange: Connection from ", sshScan, (*entry).connectionReason},
	{"beginning MaxStartups throttling", sshDropped, nil},
	{"drop connection ", sshDropped, (*entry).dropped},
	{"input_userauth_request: invalid user ", sshInvalidUser, (*entry).named},
	{"kex_exchange_identification: ", sshScan, (*entry).because},
	{"kex_protocol_error: ", sshScan, (*entry).because},
	{"maximum authentication attempts exceeded for ", sshMaxTries, (*entry).attempt},
	{"reverse mapping checking getaddrinfo for ", sshReverse, (*entry).bracketed},
	{"ssh_dispatch_run_fatal: Connection from ", sshClosed, (*entry).connectionReason},
})

const preauth = " [preauth]" // sshd writes it behind what was said before the login

func (e *entry) sshd(s string) {
	s, _ = strings.CutPrefix(s, "error: ")
	s, _ = strings.CutPrefix(s, "fatal: ")
	s, e.beforeLogin = strings.CutSuffix(s, preauth)
	sshMessages.read(e, s)
}

// cutPeer splits "… ADDRESS port N".
func cutPeer(s string) (head, addr, port string, ok bool) {
	const word = " port "
	i := len(s)
	for i > 0 && s[i-1]-'0' <= 9 {
		i--
	}
	if i < len(word) || s[i-len(word):i] != word || !isPort(s[i:]) {
		return "", "", "", false
	}
	head, addr = cutLast(s[:i-len(word)])
	return head, addr, s[i:], addr != ""
}

func isPort(s string) bool {
	_, ok := number(s, 1<<16-1)
	return ok
}

// cutFromPort splits "NAME from ADDRESS port N". The name may hold anything.
func cutFromPort(s string) (name, addr, port string, ok bool) {
	head, addr, port, ok := cutPeer(s)
	if !ok {
		return "", "", "", false
	}
	name, ok = strings.CutSuffix(head, " from")
	return name, addr, port, ok
}

// cutFrom is cutFromPort that also takes "NAME from ADDRESS", as old versions write it.
func cutFrom(s string) (name, addr, port string, ok bool) {
	if name, addr, port, ok = cutFromPort(s); ok {
		return name, addr, port, true
	}
	head, addr := cutLast(s)
	name, ok = strings.CutSuffix(head, " from")
	return name, addr, "", ok && addr != ""
}

// from reads "NAME from ADDRESS port N". Of "Bad protocol version identification '…'" the text becomes the reason.
func (e *entry) from(s string) {
	name, addr, port, ok := cutFrom(s)
	if !ok {
		return
	}
	e.address, e.port = addr, port
	if e.class == sshScan {
		e.reason = name
		return
	}
	e.user = name
}

const secondVersion = " ssh2" // of the protocol

// loggedIn reads "USER from ADDRESS port N ssh2[: key]". Behind the key's type an id may follow that was chosen to look like a
// login, as the name before may be. Of a user who is known to exist the first reading holds: such a name imitates nothing.
// Else the last one holds when nothing but a plain key follows it, for that is sshd's own; and if not, none does.
func (e *entry) loggedIn(s string, known bool) (ok bool) {
	whole := strings.TrimSuffix(s, secondVersion)
	if e.user, e.address, e.port, ok = cutFromPort(whole); ok {
		return true
	}
	key, n := "", 0
	for at := 0; n == 0 || !known; {
		i := strings.Index(s[at:], secondVersion+": ")
		if i < 0 {
			break
		}
		at += i
		user, addr, port, ok := cutFromPort(s[:at])
		if at += len(secondVersion + ": "); ok {
			e.user, e.address, e.port, key = user, addr, port, s[at:]
			n++
		}
	}
	if n > 1 && !plainKey(key) {
		e.user, e.address, e.port = "", "", ""
		return true
	}
	e.key(key)
	return n > 0
}

// accepted reads "METHOD for USER from …".
func (e *entry) accepted(s string) {
	method, rest := token(s)
	rest, ok := strings.CutPrefix(rest, "for ")
	if !ok || !e.loggedIn(rest, true) {
		return // "Accepted key … found at …" is no login yet
	}
	e.method = method
	if e.class = sshKeyLogin; method == "password" || method == "none" || strings.HasPrefix(method, "keyboard-interactive") {
		e.class = sshPasswordLogin
	}
}

// failed reads "METHOD for [invalid user ]USER from …".
func (e *entry) failed(s string) {
	e.class = sshFailed
	if e.pending(s); e.method == "" {
		e.class = sshDefault
	}
}

func (e *entry) pending(s string) {
	method, rest := token(s)
	if rest, ok := strings.CutPrefix(rest, "for "); ok {
		e.method = method
		e.attempt(rest)
	}
}

// attempt reads "[invalid user ]USER from …" of somebody who has not proved to be anybody.
func (e *entry) attempt(s string) {
	s, _ = strings.CutPrefix(s, "invalid user ")
	e.loggedIn(s, false)
}

// plainKey reports whether s is "TYPE FINGERPRINT" and no more.
func plainKey(s string) bool {
	_, fingerprint := token(s)
	return fingerprint != "" && !strings.ContainsAny(fingerprint, ` "`)
}

// key reads "ED25519 SHA256:…" and, of a certificate, "RSA-CERT SHA256:… ID alice (serial 7) CA RSA SHA256:…".
func (e *entry) key(s string) {
	kind, s := token(s)
	if s == "" {
		return // gssapi's principal
	}
	e.keyType = kind
	if !strings.HasPrefix(s, "ID ") {
		e.fingerprint, s = token(s)
		e.fingerprint = strings.TrimSuffix(e.fingerprint, ",")
	}
	s, ok := strings.CutPrefix(s, "ID ")
	if !ok {
		return
	}
	i := strings.LastIndex(s, " (serial ")
	if i < 0 {
		return
	}
	e.certificate = s[:i]
	e.certificateSerial, e.authority, _ = strings.Cut(s[i+len(" (serial "):], ") CA ")
}

// connection reads "[[invalid |authenticating ]user NAME ]ADDRESS[ port N]".
func (e *entry) connection(s string) {
	head, addr, port, ok := cutPeer(s)
	if !ok {
		head, addr = cutLast(s)
		if _, valid := address.Parse(raw(addr)); head != "" && !valid {
			return
		}
	}
	e.address, e.port = addr, port
	for _, preamble := range preambles {
		if name, ok := strings.CutPrefix(head, preamble); ok {
			e.user = name
			return
		}
	}
}

// preambles stand before the name of whoever has said one.
var preambles = [...]string{"invalid user ", "authenticating user ", "user "}

// connectionReason reads a connection and ": reason". With a name before and names in the reason, the address is only
// taken when there is no doubt where it is.
func (e *entry) connectionReason(s string) {
	named := false
	for _, preamble := range preambles {
		named = named || strings.HasPrefix(s, preamble)
	}
	if !named {
		e.reason = e.cutFirst(s)
		return
	}
	end, n := 0, 0
	for at := 0; ; at += len(": ") {
		i := strings.Index(s[at:], ": ")
		if i < 0 {
			break
		}
		at += i
		_, addr, _, _ := cutPeer(s[:at])
		if _, ok := address.Parse(raw(addr)); ok {
			end = at
			n++
		}
	}
	if n == 1 {
		e.connection(s[:end])
		e.reason = s[end+len(": "):]
	}
}

// cutFirst reads "ADDRESS port N: rest", and "ADDRESS: rest" of old versions.
func (e *entry) cutFirst(s string) (rest string) {
	e.address, rest = token(s)
	if port, ok := strings.CutPrefix(rest, "port "); ok {
		port, rest, _ = strings.Cut(port, ":")
		e.setPort(port)
		return strings.TrimPrefix(rest, " ")
	}
	e.address = strings.TrimSuffix(e.address, ":")
	return rest
}

func (e *entry) setPort(s string) {
	if isPort(s) {
		e.port = s
	}
}

// received reads "ADDRESS port N:11: reason". The reason is the client's.
func (e *entry) received(s string) {
	if e.class = sshClosed; e.beforeLogin {
		e.class = sshScan
	}
	_, e.reason, _ = strings.Cut(e.cutFirst(s), ": ")
}

// peerFirst reads "ADDRESS port N on …" and "ADDRESS to …".
func (e *entry) peerFirst(s string) {
	var rest string
	e.address, rest = token(s)
	if port, ok := strings.CutPrefix(rest, "port "); ok {
		port, _ = token(port)
		e.setPort(port)
	}
}

// session reads "shell on pts/0 for USER from ADDRESS port N id 0" and "user USER from ADDRESS port N id 0".
func (e *entry) session(s string) {
	s, id := cutLast(s)
	s, ok := strings.CutSuffix(s, " id")
	if _, digits := number(id, maxPID); !ok || !digits {
		return
	}
	name, addr, port, ok := cutFrom(s)
	if !ok {
		return
	}
	e.address, e.port = addr, port
	if e.user, ok = strings.CutPrefix(name, "user "); ok {
		return
	}
	if i := strings.LastIndex(name, " for "); i >= 0 {
		name, e.user = name[:i], name[i+len(" for "):]
		if i := strings.Index(name, " on "); i >= 0 {
			e.terminal = name[i+len(" on "):]
		}
	}
}

// notAllowed reads "USER[ from HOST] not allowed because …"; the user exists.
func (e *entry) notAllowed(s string) {
	who, reason, ok := strings.Cut(s, " not allowed because ")
	if !ok {
		return
	}
	e.class, e.reason = sshNotAllowed, reason
	if e.user, e.address, _, ok = cutFrom(who); !ok {
		e.user, e.address = who, ""
	}
}

func (e *entry) rootRefused(s string) {
	e.user = "root"
	e.connection(s)
}

// tried reads "USER with correct key but not from a permitted host (host=…, ip=ADDRESS…)".
func (e *entry) tried(s string) {
	user, rest, ok := strings.Cut(s, " with correct ")
	if !ok {
		return
	}
	e.user = user
	if _, ip, ok := strings.Cut(rest, ", ip="); ok {
		e.address = ip[:max(strings.IndexAny(ip, ",)"), 0)]
	}
}

// refused reads "[ for USER]: reason".
func (e *entry) refused(s string) {
	who, reason, _ := strings.Cut(s, ": ")
	e.user, _ = strings.CutPrefix(who, " for ")
	e.reason = reason
}

// pamError reads "Authentication failure for [illegal user ]USER from HOST".
func (e *entry) pamError(s string) {
	reason, rest, ok := strings.Cut(s, " for ")
	if !ok {
		return
	}
	rest, _ = strings.CutPrefix(rest, "illegal user ")
	user, addr, port, ok := cutFrom(rest)
	if !ok {
		return
	}
	e.class, e.method, e.reason = sshFailed, "keyboard-interactive/pam", reason
	e.user, e.address, e.port = user, addr, port
}

// tooMany reads "USER[ from ADDRESS port N ssh2]".
func (e *entry) tooMany(s string) {
	if e.reason = "Too many authentication failures"; !e.loggedIn(s, false) {
		e.user = s
	}
}

// mapped reads "ADDRESS maps to HOST, but …"; the name is the doing of whoever owns the address.
func (e *entry) mapped(s string) { e.address, _ = token(s) }

// bracketed reads "HOST [ADDRESS] failed …".
func (e *entry) bracketed(s string) {
	if i := strings.LastIndex(s, "] failed"); i >= 0 {
		e.address = s[strings.LastIndexByte(s[:i], '[')+1 : i]
	}
}

// dropped reads "#10 from [ADDRESS]:PORT on [ADDRESS]:22 reason".
func (e *entry) dropped(s string) {
	_, s, ok := strings.Cut(s, "from [")
	if !ok {
		return
	}
	addr, s, _ := strings.Cut(s, "]:")
	e.address = addr
	port, s := token(s)
	e.setPort(port)
	if _, s, ok = strings.Cut(s, "]:"); ok {
		_, e.reason = token(s)
	}
}

func (e *entry) named(s string)   { e.user = s }
func (e *entry) because(s string) { e.reason = s }
