package event

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestAppendString(t *testing.T) {
	for in, want := range map[string]string{
		"":                           `""`,
		"plain text of some length":  `"plain text of some length"`,
		`{"a":"b\n"}`:                `"{\"a\":\"b\\n\"}"`,
		`""""""""\\\\\\\\`:           `"\"\"\"\"\"\"\"\"\\\\\\\\\\\\\\\\"`,
		"tab\tline\nreturn\r":        `"tab\tline\nreturn\r"`,
		"\x1b[31mred\x7f\x00":        `"\u001b[31mred\u007f\u0000"`,
		"\u0085\u009b1m":             `"\u0085\u009b1m"`,
		"Zürich 東京 😀":                `"Zürich 東京 😀"`,
		"\xff\xc3(\xed\xa0\x80":      "\"\uFFFD\uFFFD(\uFFFD\uFFFD\uFFFD\"",
		strings.Repeat("\"", 600):    `"` + strings.Repeat(`\"`, 600) + `"`,
		strings.Repeat("x", 511):     `"` + strings.Repeat("x", 511) + `"`,
		"12345678\"1234567\"\"\x80":  "\"12345678\\\"1234567\\\"\\\"\uFFFD\"",
		"12345678\x7f1234567\"ü\"\n": `"12345678\u007f1234567\"ü\"\n"`,
	} {
		if got := string(AppendString(nil, []byte(in))); got != want {
			t.Errorf("AppendString(%q) = %s, want %s", in, got, want)
		}
	}
}

func TestPlain(t *testing.T) {
	for c := range 256 {
		want := c >= 0x20 && c <= 0x7e && c != '"' && c != '\\'
		for at := range 17 {
			s := []byte("~~~~    zzzzAAAA!")
			s[at] = byte(c)
			if Plain(s) != want {
				t.Fatalf("Plain(%q) = %v", s, !want)
			}
		}
	}
}

// FuzzAppendString holds the text to what encoding/json reads back, and to printable characters.
func FuzzAppendString(f *testing.F) {
	f.Add([]byte("x"), []byte(`{"user":"a\u0000b","n":[1,2,3]}`))
	f.Add([]byte(nil), []byte("\x1b]0;title\x07 \u009b31m \xf0\x28\x8c\x28"))
	f.Fuzz(func(t *testing.T, before, s []byte) {
		got := AppendString(append([]byte(nil), before...), s)
		if string(got[:len(before)]) != string(before) {
			t.Fatalf("AppendString changed what was there: %q", got)
		}
		got = got[len(before):]
		var back string
		if err := json.Unmarshal(got, &back); err != nil {
			t.Fatalf("%q: %v", got, err)
		}
		if want := string([]rune(string(s))); back != want { // the conversion turns bad bytes into U+FFFD
			t.Fatalf("%q reads as %q, want %q", got, back, want)
		}
		for _, r := range string(got) {
			if r < 0x20 || r >= 0x7f && r < 0xa0 {
				t.Fatalf("%q holds control character %U", got, r)
			}
		}
		if Plain(s) != (len(got) == len(s)+2 && utf8.RuneCount(s) == len(s)) {
			t.Fatalf("Plain(%q) = %v", s, Plain(s))
		}
	})
}

// FuzzCalendar holds both texts of a time to what package time writes, in whatever order times come.
func FuzzCalendar(f *testing.F) {
	for _, ms := range []int64{0, -1, 951782400000, 1709251199999, 4102444800000, -62135596800000, 253402300799999} {
		f.Add(ms, ms+dayMillis)
	}
	var c Calendar
	f.Fuzz(func(t *testing.T, a, b int64) {
		for _, ms := range []int64{a, b, a} {
			at := time.UnixMilli(ms).UTC()
			if y := at.Year(); y < 0 || y > 9999 {
				continue
			}
			if got, want := string(c.AppendTime(nil, ms)), at.Format("2006-01-02T15:04:05.000Z"); got != want {
				t.Fatalf("AppendTime(%d) = %s, want %s", ms, got, want)
			}
			if got, want := Day(ms), at.Format("2006.01.02"); got != want {
				t.Fatalf("Day(%d) = %s, want %s", ms, got, want)
			}
		}
	})
}

func BenchmarkAppendString(b *testing.B) {
	for name, text := range map[string]string{
		"json": strings.Repeat(`{"eventVersion":"1.08","userIdentity":{"type":"IAMUser","accountId":"123456789012","userName":"alice"},`, 10),
		"text": "Jul 10 11:42:36 ip-10-0-0-1 sshd[123]: Failed password for invalid user root from 192.0.2.1 port 22 ssh2",
	} {
		b.Run(name, func(b *testing.B) {
			s, dst := []byte(text), []byte(nil)
			b.SetBytes(int64(len(s)))
			b.ReportAllocs()
			for b.Loop() {
				dst = AppendString(dst[:0], s)
			}
		})
	}
}
