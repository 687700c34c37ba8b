package authlog

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"stepsiem/shared/event"
	"stepsiem/shared/format"
)

var update = flag.Bool("update", false, "rewrite the goldens")

var (
	_ format.Format = (*Format)(nil)
	_ format.Parser = (*parser)(nil)
)

var written = time.Date(2023, 11, 24, 0, 0, 0, 0, time.UTC)

func doc() *event.Doc {
	d := new(event.Doc)
	d.Open(&event.Source{Path: "s3://landing/secure", Base: "secure", Time: written}, "authlog", "b", written)
	return d
}

// parse gives the fields of one line's document by their dotted paths, or the error.
func parse(t testing.TB, f *Format, d *event.Doc, line string) (map[string]string, error) {
	t.Helper()
	d.Reset(0)
	if err := f.Open().Parse([]byte(line), d); err != nil {
		return nil, err
	}
	var c event.Chunk
	c.Commit(d, []byte(line), 0)
	return flat(t, c.Doc(&c.Records[0])), nil
}

// flat fails the test unless doc is one JSON object without duplicate keys.
func flat(t testing.TB, doc []byte) map[string]string {
	t.Helper()
	fields := map[string]string{}
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.UseNumber()
	var object func(path string)
	object = func(path string) {
		for dec.More() {
			key, err := dec.Token()
			if err != nil {
				t.Fatalf("%v in %s", err, doc)
			}
			p := strings.TrimPrefix(path+"."+key.(string), ".")
			if _, twice := fields[p]; twice {
				t.Fatalf("%s twice in %s", p, doc)
			}
			fields[p] = ""
			tok, _ := dec.Token()
			switch tok {
			case json.Delim('{'):
				object(p)
				delete(fields, p)
				fields[p+"{}"] = "" // a second object of this name is found above
				if _, again := fields[p]; again {
					t.Fatalf("%s twice in %s", p, doc)
				}
			case json.Delim('['):
				var list []string
				for dec.More() {
					v, _ := dec.Token()
					list = append(list, fmt.Sprint(v))
				}
				_, _ = dec.Token()
				fields[p] = strings.Join(list, ",")
			default:
				fields[p] = fmt.Sprint(tok)
			}
		}
		if _, err := dec.Token(); err != nil {
			t.Fatalf("%v in %s", err, doc)
		}
	}
	if tok, err := dec.Token(); err != nil || tok != json.Delim('{') {
		t.Fatalf("no object: %v %s", err, doc)
	}
	object("")
	if _, err := dec.Token(); err != io.EOF {
		t.Fatalf("more than one value: %s", doc)
	}
	maps.DeleteFunc(fields, func(path, _ string) bool { return strings.HasSuffix(path, "{}") })
	return fields
}

// constant are the fields that Doc writes alike for every line here.
var constant = map[string]bool{"log.file.path": true, "log.offset": true, "ecs.version": true, "event.ingested": true,
	"event.dataset": true, "event.kind": true, "labels.batch": true}

// golden runs every line of a file and hands on what it gives.
func golden(t *testing.T, each func(fields map[string]string)) {
	const input, documents = "-- input --\n", "-- documents --\n"
	files, _ := filepath.Glob("testdata/*.txtar")
	if len(files) == 0 {
		t.Fatal("no goldens")
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			in, want, ok := strings.Cut(strings.TrimPrefix(string(text), input), documents)
			if !ok && !*update {
				t.Fatal("no documents")
			}
			var got strings.Builder
			for line := range strings.SplitSeq(strings.TrimSuffix(in, "\n"), "\n") {
				fmt.Fprintf(&got, "> %s\n", line)
				fields, err := parse(t, New(Config{}), doc(), line)
				if err != nil {
					fmt.Fprintf(&got, "! %v\n", err)
					continue
				}
				if fields["event.original"] != line {
					t.Errorf("original %q of %q", fields["event.original"], line)
				}
				if each != nil {
					each(fields)
				}
				for _, path := range slices.Sorted(maps.Keys(fields)) {
					if !constant[path] && path != "event.original" {
						fmt.Fprintf(&got, "%s = %s\n", path, fields[path])
					}
				}
			}
			if *update {
				if err := os.WriteFile(file, []byte(input+in+documents+got.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got.String() != want {
				t.Errorf("got:\n%s\nwant:\n%s", got.String(), want)
			}
		})
	}
}

func TestGoldens(t *testing.T) { golden(t, nil) }

// TestMapping finds every field of every golden in the component template, and a type that takes it.
func TestMapping(t *testing.T) {
	text, err := os.ReadFile("../../kibana/component/authlog.json")
	if err != nil {
		t.Fatal(err)
	}
	type mapping struct {
		Type       string
		Properties map[string]mapping
	}
	var file struct {
		Version  int
		Template struct{ Mappings mapping }
	}
	if err := json.Unmarshal(text, &file); err != nil || file.Version == 0 {
		t.Fatalf("%v, version %d", err, file.Version)
	}
	numeric := map[string]bool{"long": true, "integer": true, "short": true}
	golden(t, func(fields map[string]string) {
		for path, value := range fields {
			m := file.Template.Mappings
			for key := range strings.SplitSeq(path, ".") {
				m = m.Properties[key]
			}
			_, number := number(value, 1<<40)
			switch {
			case constant[path] && path != "event.kind", path == "@timestamp":
			case m.Type == "", numeric[m.Type] && !number:
				t.Errorf("%s = %q has type %q", path, value, m.Type)
			}
		}
	})
}

// with checks fields against "path=value" pairs; a value of "" means the field must be missing.
func with(t *testing.T, fields map[string]string, want ...string) {
	t.Helper()
	for _, pair := range want {
		path, value, _ := strings.Cut(pair, "=")
		if fields[path] != value {
			t.Errorf("%s = %q, want %q", path, fields[path], value)
		}
	}
}

// TestLegacy has every fault of the original that an auth log can show.
func TestLegacy(t *testing.T) {
	rules, err := ParseFilter(DefaultFilter)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		fault, line string
		want        []string
	}{
		{"max tries for a known user", "sshd[1]: error: maximum authentication attempts exceeded for root from 9.9.9.9 port 22 ssh2 [preauth]",
			[]string{"event.code=MaxAuthTries", "user.name=root", "source.ip=9.9.9.9"}},
		{"IPv6 peer", "sshd[1]: Connection closed by 2a00:1450::5 port 22 [preauth]",
			[]string{"event.code=ConnectionClosed", "source.ip=2a00:1450::5", "source.port=22"}},
		{"UNKNOWN peer", "sshd[1]: Connection closed by UNKNOWN", []string{"event.code=ConnectionClosed", "source.address=UNKNOWN", "source.ip="}},
		{"failed root", "sshd[1]: Failed password for root from 9.9.9.9 port 22 ssh2", []string{"event.code=FailedLogin", "user.name=root"}},
		{"failed invalid user", "sshd[1]: Failed password for invalid user bob from 9.9.9.9 port 22 ssh2",
			[]string{"event.code=FailedLogin", "user.name=bob", "event.outcome=failure"}},
		{"name with from", "sshd[1]: Invalid user fromage from 9.9.9.9 port 22", []string{"event.code=FailedLogin", "user.name=fromage"}},
		{"ordinary disconnect", "sshd[1]: Received disconnect from 9.9.9.9 port 22:11: disconnected by user",
			[]string{"event.code=ConnectionClosed", "event.reason=disconnected by user"}},
		{"scanner's disconnect", "sshd[1]: Received disconnect from 9.9.9.9 port 22:11: Bye Bye [preauth]",
			[]string{"event.code=PossiblePortScanningAttempt"}},
		{"crontab through sudo", "sudo:  eve : TTY=pts/0 ; PWD=/home/eve ; USER=root ; COMMAND=/usr/bin/crontab -e",
			[]string{"event.code=sudo", "process.command_line=/usr/bin/crontab -e", "user.name=eve", "user.effective.name=root"}},
		{"password success has an address", "sshd[1]: Accepted password for bob from 9.9.9.9 port 22 ssh2",
			[]string{"event.code=SuccessfulLoginPassword", "source.ip=9.9.9.9", "event.outcome=success"}},
		{"sudo without a command", "sudo: pam_unix(sudo:session): session closed for user root", []string{"event.code=sudo"}},
		{"program in parentheses", "(sudo)[12]: unable to execute", []string{"event.code=sudo", "process.name=sudo", "process.pid=12"}},
		{"year of the object", "sshd[1]: Server listening on :: port 22.", []string{"@timestamp=2023-11-23T18:12:01.000Z", "event.code=SSHDefault"}},
		{"filtered words inside a name", "sshd[1]: Invalid user cron reverse mapping checking getaddrinfo from 9.9.9.9 port 22",
			[]string{"event.code=FailedLogin"}},
	} {
		t.Run(c.fault, func(t *testing.T) {
			fields, err := parse(t, New(Config{Filter: rules}), doc(), "Nov 23 18:12:01 host "+c.line)
			if err != nil {
				t.Fatal(err)
			}
			with(t, fields, c.want...)
		})
	}
}

// TestHostile has what attackers write where their name or key id goes: never a success, never their address.
func TestHostile(t *testing.T) {
	const peer = " from 5.6.7.8 port 22"
	const fake = "Accepted password for root from 1.2.3.4 port 22 ssh2"
	cert := "ED25519-CERT SHA256:abc ID x from 1.2.3.4 port 1 ssh2: RSA SHA256:def ID y (serial 0) CA RSA SHA256:ghi"
	for _, c := range []struct{ line, user, source, code string }{
		{"Invalid user root from 1.2.3.4" + peer, "root from 1.2.3.4", "5.6.7.8", "FailedLogin"},
		{"Invalid user root from 1.2.3.4 port 22" + peer, "root from 1.2.3.4 port 22", "5.6.7.8", "FailedLogin"},
		{"Invalid user root from 1.2.3.4 port 22 from 5.6.7.8", "root from 1.2.3.4 port 22", "5.6.7.8", "FailedLogin"},
		{"Invalid user " + fake + peer, fake, "5.6.7.8", "FailedLogin"},
		{"Invalid user " + peer, "", "5.6.7.8", "FailedLogin"},
		{"Invalid user  a  b " + peer, " a  b ", "5.6.7.8", "FailedLogin"},
		{"Invalid user a [preauth]" + peer, "a [preauth]", "5.6.7.8", "FailedLogin"},
		{"Invalid user \\033[31m\x1b[31m\"'\\" + peer, "\\033[31m\x1b[31m\"'\\", "5.6.7.8", "FailedLogin"},
		{"Invalid user \xff" + peer, "\ufffd", "5.6.7.8", "FailedLogin"},
		{"Failed password for invalid user " + fake + peer + " ssh2", fake, "5.6.7.8", "FailedLogin"},
		{"Failed password for invalid user x from 1.2.3.4 port 1 ssh2: RSA SHA256:abc" + peer + " ssh2",
			"x from 1.2.3.4 port 1 ssh2: RSA SHA256:abc", "5.6.7.8", "FailedLogin"},
		{"Failed publickey for invalid user x from 1.2.3.4 port 1 ssh2: RSA SHA256:abc" + peer + " ssh2: RSA SHA256:def",
			"x from 1.2.3.4 port 1 ssh2: RSA SHA256:abc", "5.6.7.8", "FailedLogin"},
		{"Failed password for invalid user invalid user root" + peer + " ssh2", "invalid user root", "5.6.7.8", "FailedLogin"},
		{"Failed none for invalid user " + peer + " ssh2", "", "5.6.7.8", "FailedLogin"},
		{"Failed publickey for root" + peer + " ssh2: " + cert, "", "", "FailedLogin"},
		{"Failed hostbased for root" + peer + ` ssh2: RSA SHA256:abc, client user "x from 1.2.3.4 port 1 ssh2: y", client host "h"`, "", "", "FailedLogin"},
		{"Failed hostbased for root" + peer + ` ssh2: RSA SHA256:abc, client user "from 1.2.3.4 port 1", client host "x from 1.2.3.4"`, "root", "5.6.7.8", "FailedLogin"},
		{"Accepted publickey for root" + peer + " ssh2: " + cert, "root", "5.6.7.8", "SuccessfulLoginKey"},
		{"Accepted key RSA SHA256:abc found at /home/x for root" + peer + " ssh2", "", "", "SSHDefault"},
		{"Connection closed by invalid user root 1.2.3.4 port 9 5.6.7.8 port 22 [preauth]", "root 1.2.3.4 port 9", "5.6.7.8", "ConnectionClosed"},
		{"Connection closed by invalid user  5.6.7.8 port 22 [preauth]", "", "5.6.7.8", "ConnectionClosed"},
		{"Disconnected from invalid user user root 5.6.7.8 port 22", "user root", "5.6.7.8", "ConnectionClosed"},
		{"Disconnecting invalid user x 1.2.3.4 port 9: y 5.6.7.8 port 22: Change of username or service not allowed: (x 1.2.3.4 port 9: y,ssh-connection) -> (z,ssh-connection) [preauth]",
			"", "", "ConnectionClosed"},
		{"Disconnecting invalid user x 5.6.7.8 port 22: Too many authentication failures [preauth]", "x", "5.6.7.8", "ConnectionClosed"},
		{"Received disconnect from 5.6.7.8 port 22:11: Bye from 1.2.3.4 port 1:11: x [preauth]", "", "5.6.7.8", "PossiblePortScanningAttempt"},
		{"maximum authentication attempts exceeded for invalid user x from 1.2.3.4 port 1 ssh2" + peer + " ssh2 [preauth]",
			"x from 1.2.3.4 port 1 ssh2", "5.6.7.8", "MaxAuthTries"},
		{"Bad protocol version identification 'x' from 1.2.3.4 port 1'" + peer, "", "5.6.7.8", "PossiblePortScanningAttempt"},
		{"PAM: Authentication failure for illegal user x from 1.2.3.4 from 5.6.7.8", "x from 1.2.3.4", "5.6.7.8", "FailedLogin"},
		{"pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=5.6.7.8  user=x rhost=1.2.3.4 user=root",
			"x rhost=1.2.3.4 user=root", "5.6.7.8", "SSHDefault"},
		{"message repeated 2 times: [ Invalid user " + fake + "]" + peer + "]", fake + "]", "5.6.7.8", "FailedLogin"},
		{"Invalid user x from fe80::1%eth0 port 22", "x", "fe80::1", "FailedLogin"},
		{"Invalid user x from ::ffff:5.6.7.8 port 22", "x", "5.6.7.8", "FailedLogin"},
		{"Invalid user x from 1.2.3.400 port 22", "x", "", "FailedLogin"},
		{"Invalid user x from evil.example port 22", "x", "", "FailedLogin"},
		{"Invalid user x from 5.6.7.8 port 99999", "", "", "FailedLogin"},
	} {
		t.Run(c.line, func(t *testing.T) {
			fields, err := parse(t, New(Config{}), doc(), "Nov 23 18:12:01 host sshd[1]: "+c.line)
			if err != nil {
				t.Fatal(err)
			}
			with(t, fields, "user.name="+c.user, "source.ip="+c.source, "event.code="+c.code)
			if outcome := fields["event.outcome"]; (outcome == "success") != strings.HasPrefix(c.code, "Successful") {
				t.Errorf("outcome %s", outcome)
			}
		})
	}
}

func TestFilter(t *testing.T) {
	if rules, err := ParseFilter(" "); err != nil || len(rules) != 0 {
		t.Error(rules, err)
	}
	if _, err := ParseFilter("cron,:start"); err == nil {
		t.Error("a rule without a program was taken")
	}
	rules, err := ParseFilter(DefaultFilter)
	if err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{
		"CRON[1]: (root) CMD (ls)":                                                      "ignored program cron",
		"/USR/SBIN/CRON[1]: (root) CMD (ls)":                                            "ignored program cron",
		"crond[1]: (root) CMD (ls)":                                                     "ignored program cron",
		"sshd[1]: input_userauth_request: invalid user x [preauth]":                     "ignored message sshd: input_userauth_request",
		"sshd-session[1]: Reverse mapping checking getaddrinfo for x [1.2.3.4] failed.": "ignored message sshd: reverse mapping checking getaddrinfo",
		"sshd[1]: message repeated 2 times: [ input_userauth_request: invalid user x]":  "ignored message sshd: input_userauth_request",
		"sshd[1]: Invalid user input_userauth_request from 9.9.9.9":                     "",
		"sudo: eve : COMMAND=/usr/bin/crontab -e":                                       "",
		"crontab[1]: (root) LIST (root)":                                                "",
	} {
		_, err := parse(t, New(Config{Filter: rules}), doc(), "Nov 23 18:12:01 host "+line)
		got := ""
		if reason, ok := err.(event.Filtered); ok {
			got = string(reason)
		}
		if got != want {
			t.Errorf("%s: %q, want %q (%v)", line, got, want, err)
		}
		if _, err := parse(t, New(Config{}), doc(), "Nov 23 18:12:01 host "+line); err != nil {
			t.Errorf("no filter: %s: %v", line, err)
		}
	}
}

// TestOrigin has lines as a subscription delivers them, which need no header.
func TestOrigin(t *testing.T) {
	for _, c := range []struct{ line, err, time, program string }{
		{"Dec 31 23:59:59 host sshd[1]: x", "", "2023-12-31T23:59:59.000Z", "sshd"},
		{"sshd[1]: Invalid user x from 9.9.9.9", "", "2024-01-01T00:00:00.000Z", "sshd"},
		{"error: maximum authentication attempts exceeded for root from 9.9.9.9 port 22 ssh2", "", "2024-01-01T00:00:00.000Z", "sshd"},
		{"pam_unix(su:session): session closed for user root", "", "2024-01-01T00:00:00.000Z", "su"},
		{" eve : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/ls", "", "2024-01-01T00:00:00.000Z", "sudo"},
		{"hello world", errNoProgram.Error(), "", ""},
	} {
		d := doc()
		d.Origin = &event.Origin{Owner: "123456789012", LogGroup: "/var/log/secure", Time: time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()}
		d.Origin.Prepare()
		fields, err := parse(t, New(Config{}), d, c.line)
		if err != nil {
			if err.Error() != c.err {
				t.Errorf("%s: %v", c.line, err)
			}
			continue
		}
		with(t, fields, "@timestamp="+c.time, "process.name="+c.program, "cloud.account.id=123456789012", "cloud.provider=aws", "log.owner=123456789012")
	}
}
