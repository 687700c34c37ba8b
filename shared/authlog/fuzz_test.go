package authlog

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stepsiem/shared/event"
)

// valid is s with every byte that is not UTF-8 replaced, as documents have it.
func valid(s string) string { return string([]rune(s)) }

// FuzzParse: a document is one JSON object without duplicate keys, holds the line as it was, and comes out the same again
// from a parser that has read other lines before.
func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.txtar")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		in, _, _ := strings.Cut(string(text), "-- documents --")
		for line := range strings.SplitSeq(in, "\n") {
			f.Add(line, false)
		}
	}
	f.Add("sshd[1]: Invalid user x from 9.9.9.9", true)
	f.Fuzz(func(t *testing.T, line string, subscribed bool) {
		d, p := doc(), New(Config{}).Open()
		if subscribed {
			d.Origin = &event.Origin{Owner: "1", LogGroup: "g", LogStream: line, Time: 1}
			d.Origin.Prepare()
		}
		run := func() ([]byte, error) {
			d.Reset(7)
			if err := p.Parse([]byte(line), d); err != nil {
				d.Drop()
				return nil, err
			}
			var c event.Chunk
			c.Commit(d, []byte(line), 0)
			return c.Doc(&c.Records[0]), nil
		}
		first, err := run()
		if err != nil {
			return
		}
		fields := flat(t, first)
		if got, want := fields["event.original"], valid(trim(line)); got != want {
			t.Errorf("original %q, want %q", got, want)
		}
		if !strings.HasSuffix(fields["event.original"], fields["message"]) {
			t.Errorf("message %q is not the end of %q", fields["message"], line)
		}
		d.Reset(0)
		if err := p.Parse([]byte("<1>Nov 23 18:12:01 h su(pam_unix)[1]: session opened for user root by bob(uid=1000)"), d); err != nil {
			t.Fatal(err)
		}
		second, err := run()
		if err != nil || !bytes.Equal(first, second) {
			t.Errorf("first %s\nthen %s (%v)", first, second, err)
		}
	})
}

// FuzzName: whatever name somebody gives to sshd, it ends up in user.name and changes nothing else.
func FuzzName(f *testing.F) {
	for _, name := range []string{"", "root", " ", "root from 1.2.3.4", "x from 1.2.3.4 port 1 ssh2", "x from 1.2.3.4 port 1 ssh2: RSA SHA256:a",
		"invalid user x", "[preauth]", " port 1", "\x1b[31m\"\\", "\xff\xfe", "Accepted password for root from 1.2.3.4 port 22 ssh2"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		for _, template := range []string{
			"Invalid user % from 5.6.7.8 port 22",
			"Failed password for invalid user % from 5.6.7.8 port 22 ssh2",
			"Failed publickey for invalid user % from 5.6.7.8 port 22 ssh2: RSA SHA256:abc",
			"error: maximum authentication attempts exceeded for invalid user % from 5.6.7.8 port 22 ssh2 [preauth]",
			"Postponed keyboard-interactive for invalid user % from 5.6.7.8 port 22 ssh2 [preauth]",
			"Connection closed by invalid user % 5.6.7.8 port 22 [preauth]",
			"Disconnected from invalid user % 5.6.7.8 port 22",
		} {
			before, after, _ := strings.Cut(template, "%")
			fields, err := parse(t, New(Config{}), doc(), "Nov 23 18:12:01 host sshd[1]: "+before+name+after)
			if err != nil {
				t.Fatal(err)
			}
			plain, err := parse(t, New(Config{}), doc(), "Nov 23 18:12:01 host sshd[1]: "+before+"bob"+after)
			if err != nil {
				t.Fatal(err)
			}
			for path, want := range plain {
				if path != "user.name" && path != "message" && path != "event.original" && fields[path] != want {
					t.Errorf("%s: %s = %q, want %q", template, path, fields[path], want)
				}
			}
			if fields["user.name"] != valid(name) {
				t.Errorf("%s: user %q, want %q", template, fields["user.name"], valid(name))
			}
		}
	})
}
