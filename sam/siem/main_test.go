package main

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// siem runs a command on a home where nothing runs.
func siem(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, &out, &errs)
	return code, out.String(), errs.String()
}

func TestExitCodes(t *testing.T) {
	home := "--home=" + t.TempDir()
	for _, c := range []struct {
		args string
		code int
		says string // on stdout when the code is 0, else on stderr
	}{
		{"", exitUsage, "siem quarantine replay"},
		{"--help", exitDone, "siem quarantine replay"},
		{"quarantine", exitUsage, "siem quarantine show"},
		{"quarantine --help", exitDone, "siem quarantine show"},
		{"nonsense", exitUsage, `no command "nonsense"`},
		{"quarantine nonsense", exitUsage, `no command "quarantine nonsense"`},
		{"ingest", exitUsage, "expects PATH..."},
		{"ingest --type elf x", exitUsage, `"elf" is none of authlog`},
		{"ingest --nonsense x", exitUsage, "-nonsense"},
		{"ingest /does/not/exist", exitFailed, "no such file"},
		{"show a b", exitUsage, "expects NAME"},
		{"show", exitUsage, "expects NAME"},
		{"show x " + home, exitFailed, "run siem up"},
		{"show " + home + " -- --json", exitFailed, "run siem up"},
		{"executions --since yesterday", exitUsage, "since"},
		{"executions --status nonsense", exitUsage, "NONSENSE"},
		{"executions x", exitUsage, "expects"},
		{"rerun", exitUsage, "--failed"},
		{"rerun --failed x", exitUsage, "--failed"},
		{"quarantine replay", exitUsage, "--all"},
		{"status " + home, exitFailed, "run siem up"},
		{"up --stack x", exitUsage, "sam deploy"},
		{"down --stack x", exitUsage, "sam delete"},
	} {
		t.Run(c.args, func(t *testing.T) {
			code, stdout, stderr := siem(t, strings.Fields(c.args)...)
			said := stderr
			if c.code == exitDone {
				said = stdout
			}
			if code != c.code || !strings.Contains(said, c.says) {
				t.Errorf("exit %d, stdout %q, stderr %q", code, stdout, stderr)
			}
			if c.code != exitDone && stdout != "" {
				t.Errorf("stdout %q", stdout)
			}
		})
	}
}

func TestHelpOfAll(t *testing.T) {
	for _, cmd := range commands {
		code, stdout, stderr := siem(t, append(strings.Fields(cmd.name), "--help")...)
		if code != exitDone || !strings.Contains(stdout, cmd.summary) || !strings.Contains(stdout, "-json") || stderr != "" {
			t.Errorf("siem %s --help: exit %d, stdout %q, stderr %q", cmd.name, code, stdout, stderr)
		}
	}
}

func TestStatusDownJSON(t *testing.T) {
	code, stdout, _ := siem(t, "status", "--json", "--home", filepath.Join(t.TempDir(), "none"))
	var got map[string]any
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || code != exitFailed || got["healthy"] != false {
		t.Fatalf("exit %d, %v: %s", code, err, stdout)
	}
	for _, key := range []string{"aws", "search", "region", "landing_bucket", "archive_bucket", "quarantine_bucket", "machines"} {
		if _, ok := got[key]; !ok {
			t.Errorf("no key %s in %s", key, stdout)
		}
	}
}

func TestParseFlagsAnywhere(t *testing.T) {
	for _, c := range []struct {
		args, rest string
		json       bool
	}{
		{"a b", "a b", false},
		{"a --json b", "a b", true},
		{"--json -- a --json", "a --json", true},
		{"a -- --json", "a --json", false},
		{"a b --json", "a b", true},
	} {
		call := newCall(&commands[0], nil, nil)
		rest, err := call.parse(strings.Fields(c.args), 0, -1)
		if err != nil || strings.Join(rest, " ") != c.rest || call.json != c.json {
			t.Errorf("%q: %q, json %v, %v", c.args, rest, call.json, err)
		}
	}
}

func TestSpan(t *testing.T) {
	for text, want := range map[string]time.Duration{"7d": 7 * 24 * time.Hour, "90m": 90 * time.Minute, "0d": 0, "-1d": -1, "d": -1, "1w": -1} {
		var s span
		if err := s.Set(text); (err != nil) != (want < 0) || err == nil && time.Duration(s) != want {
			t.Errorf("%q: %s, %v", text, &s, err)
		}
	}
}

func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"plain ü 漢":                       "plain ü 漢",
		"\x1b]0;title\x07\x1b[31mred":     `\x1b]0;title\a\x1b[31mred`,
		"a\nb\tc\r":                       `a\nb\tc\r`,
		"\xff\xfe":                        `\xff\xfe`,
		"\u202egnp.exe":                   `\u202egnp.exe`,
		"\u009b31m":                       `\u009b31m`,
		"\ufffd":                          "\ufffd",
		strings.Repeat("x", 300):          strings.Repeat("x", 200) + "…",
		strings.Repeat("x", 199) + "ü...": strings.Repeat("x", 199) + `\xc3…`,
	} {
		if got := printable(text, 200); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestTable(t *testing.T) {
	var b strings.Builder
	table(&b, []string{"NAME", "N"}, [][]string{{"ü", "7"}, {"longer\x1b", "1234"}})
	if want := "NAME           N\nü              7\nlonger\\x1b  1234\n"; b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}

func TestProgressLines(t *testing.T) {
	var b strings.Builder
	p := newProgress(&b)
	p.show(0, 2, "none")
	p.show(1, 2, "one") // too soon
	p.show(2, 2, "two")
	p.show(2, 2, "two")
	p.end()
	got := strings.Split(strings.TrimSpace(b.String()), "\n")
	if want := []string{"[" + strings.Repeat(".", barWidth) + "] none", "[" + strings.Repeat("#", barWidth) + "] two"}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}
