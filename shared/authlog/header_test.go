package authlog

import (
	"strings"
	"testing"
	"time"

	"stepsiem/shared/event"
)

func TestHeader(t *testing.T) {
	for _, c := range []struct{ line, time, host, program, pid, message string }{
		{"Nov 23 18:12:01 host prog[7]: m", "2023-11-23T18:12:01.000Z", "host", "prog", "7", "m"},
		{"<38>Nov  3 18:12:01 host prog: m", "2023-11-03T18:12:01.000Z", "host", "prog", "", "m"},
		{"Nov 3 18:12:01 host prog: m", "2023-11-03T18:12:01.000Z", "host", "prog", "", "m"},
		{"Nov 23 18:12:01.123456 host prog: m", "2023-11-23T18:12:01.123Z", "host", "prog", "", "m"},
		{"Nov 23 2021 18:12:01 host prog: m", "2021-11-23T18:12:01.000Z", "host", "prog", "", "m"},
		{"Nov 23 18:12:01 2021 host prog: m", "2021-11-23T18:12:01.000Z", "host", "prog", "", "m"},
		{"Nov 23 18:12:01 prog[7]: m", "2023-11-23T18:12:01.000Z", "", "prog", "7", "m"},
		{"Nov 23 18:12:01 host auth.info prog[7]: m", "2023-11-23T18:12:01.000Z", "host", "prog", "7", "m"},
		{"2023-07-10T12:40:00.123456+02:00 host prog[7]: m", "2023-07-10T10:40:00.123Z", "host", "prog", "7", "m"},
		{"2023-07-10T12:40:00-0230 host prog[7]: m", "2023-07-10T15:10:00.000Z", "host", "prog", "7", "m"},
		{"2023-07-10T12:40:00Z host prog[7]: m", "2023-07-10T12:40:00.000Z", "host", "prog", "7", "m"},
		{"2023-07-10 12:40:00 host prog[7]: m", "2023-07-10T12:40:00.000Z", "host", "prog", "7", "m"},
		{"2023-07-10 12:40:00,5 host prog[7]: m", "2023-07-10T12:40:00.500Z", "host", "prog", "7", "m"},
		{"Mon 2023-07-10 12:40:00 UTC host prog[7]: m", "2023-07-10T12:40:00.000Z", "host", "prog", "7", "m"},
		{"2016-12-31T23:59:60Z host prog[7]: m", "2017-01-01T00:00:00.000Z", "host", "prog", "7", "m"},
		{"<34>1 2023-10-11T22:14:15.003Z host su 12 ID47 - \ufeffm", "2023-10-11T22:14:15.003Z", "host", "su", "12", "m"},
		{`<34>1 2023-10-11T22:14:15Z host app - - [a@1 k="]\"\\"][b] m`, "2023-10-11T22:14:15.000Z", "host", "app", "", "m"},
		{"<34>1 2023-10-11T22:14:15Z - app - - -", "2023-10-11T22:14:15.000Z", "", "app", "", ""},
		{"<34>1 2023-10-11T22:14:15Z host - - - - prog[7]: m", "2023-10-11T22:14:15.000Z", "host", "prog", "7", "m"},
		{"Nov 23 18:12:01 host systemd-logind[1]: m", "2023-11-23T18:12:01.000Z", "host", "systemd-logind", "1", "m"},
		{"Nov 23 18:12:01 host /usr/sbin/cron[1]: m", "2023-11-23T18:12:01.000Z", "host", "/usr/sbin/cron", "1", "m"},
		{"Nov 23 18:12:01 host (sudo)[1]: m", "2023-11-23T18:12:01.000Z", "host", "sudo", "1", "m"},
		{"Nov 23 18:12:01 host ( sudo ): m", "2023-11-23T18:12:01.000Z", "host", "sudo", "", "m"},
		{"Nov 23 18:12:01 host su(pam_unix)[123]: m", "2023-11-23T18:12:01.000Z", "host", "su", "123", "m"},
		{"Nov 23 18:12:01 host su (pam_unix)[123]: m", "2023-11-23T18:12:01.000Z", "host", "su", "123", "m"},
		{"Nov 23 18:12:01 host prog:", "2023-11-23T18:12:01.000Z", "host", "prog", "", ""},
		{"\ufeffNov 23 18:12:01 host prog: m\r\n", "2023-11-23T18:12:01.000Z", "host", "prog", "", "m"},
		{"Nov 23 18:12:01 host prog[99999999999]: m", "2023-11-23T18:12:01.000Z", "host", "prog", "", "m"},
	} {
		fields, err := parse(t, New(Config{}), doc(), c.line)
		if err != nil {
			t.Errorf("%q: %v", c.line, err)
			continue
		}
		with(t, fields, "@timestamp="+c.time, "host.hostname="+c.host, "process.name="+c.program, "process.pid="+c.pid, "message="+c.message)
	}
}

func TestYear(t *testing.T) {
	berlin := time.FixedZone("", 3600)
	for _, c := range []struct {
		stamp string
		ref   string
		zone  *time.Location
		want  string
	}{
		{"Dec 31 23:59:59", "2024-01-01T00:00:05Z", nil, "2023-12-31T23:59:59.000Z"},
		{"Jan  1 00:00:01", "2023-12-31T23:59:58Z", nil, "2024-01-01T00:00:01.000Z"},
		{"Jan  1 00:00:01", "2024-01-01T00:00:05Z", nil, "2024-01-01T00:00:01.000Z"},
		{"Jan  3 00:00:01", "2023-12-31T00:00:00Z", nil, "2023-01-03T00:00:01.000Z"},
		{"Nov 24 18:00:00", "2023-11-23T19:00:00Z", nil, "2023-11-24T18:00:00.000Z"},
		{"Nov 24 18:00:00", "2023-11-23T17:00:00Z", nil, "2022-11-24T18:00:00.000Z"},
		{"Feb 29 12:00:00", "2024-03-01T00:00:00Z", nil, "2024-02-29T12:00:00.000Z"},
		{"Feb 29 12:00:00", "2024-02-28T13:00:00Z", nil, "2024-02-29T12:00:00.000Z"},
		{"Feb 29 12:00:00", "2023-03-01T00:00:00Z", nil, "2020-02-29T12:00:00.000Z"},
		{"Feb 29 12:00:00", "1903-03-01T00:00:00Z", nil, "1896-02-29T12:00:00.000Z"},
		{"Jan  1 00:30:00", "2023-12-31T23:31:00Z", berlin, "2023-12-31T23:30:00.000Z"},
		{"Jul 10 12:00:00", "2023-07-11T00:00:00Z", berlin, "2023-07-10T11:00:00.000Z"},
	} {
		ref, err := time.Parse(time.RFC3339, c.ref)
		if err != nil {
			t.Fatal(err)
		}
		d := doc()
		d.Source.Time = ref
		fields, err := parse(t, New(Config{Zone: c.zone}), d, c.stamp+" host prog: m")
		if err != nil || fields["@timestamp"] != c.want {
			t.Errorf("%s at %s: %s, want %s (%v)", c.stamp, c.ref, fields["@timestamp"], c.want, err)
		}
	}
	d := doc()
	d.Source.Time = time.Time{}
	if _, err := parse(t, New(Config{}), d, "Nov 23 18:12:01 host prog: m"); err != errNoYear {
		t.Error(err)
	}
}

// TestDays compares with the standard library.
func TestDays(t *testing.T) {
	for day := time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC); day.Year() < 2410; day = day.AddDate(0, 0, 17) {
		y, m, d := day.Date()
		if got := days(y, int(m), d) * 86400; got != day.Unix() {
			t.Fatalf("%s: %d, want %d", day, got, day.Unix())
		}
		if last := time.Date(y, m+1, 0, 0, 0, 0, 0, time.UTC).Day(); daysIn(y, int(m)) != last {
			t.Fatalf("%s has %d days, want %d", day.Format("2006-01"), daysIn(y, int(m)), last)
		}
	}
}

func TestBadLines(t *testing.T) {
	for line, want := range map[string]error{
		"":                                     event.ErrSkip,
		" \t ":                                 event.ErrSkip,
		"\r\n":                                 event.ErrSkip,
		"Invalid user x from 9.9.9.9":          errNoTime,
		"sshd[1]: Invalid user x from 9.9.9.9": errNoTime,
		"<34>1 - host app - - - m":             errNoTime,
		"<34>1 2023-10-11T22:14:15Z host app - - [a k=\"] m":       errNoTime,
		"<192>Nov 23 18:12:01 host prog: m":                        errNoTime,
		"Nov 23 host prog: m":                                      errNoTime,
		"Foo 23 18:12:01 host prog: m":                             errNoTime,
		"Nov 23 18:12:01.host prog: m":                             errNoTime,
		"Nov 23 24:12:01 host prog: m":                             errNoTime,
		"Nov 31 18:12:01 host prog: m":                             errBadTime,
		"2023-02-29T00:00:00Z host prog: m":                        errBadTime,
		"2023-13-01T00:00:00Z host prog: m":                        errBadTime,
		"0000-01-01T00:00:00+01:00 host prog: m":                   errBadTime,
		"9999-12-31T23:59:59-01:00 host prog: m":                   errBadTime,
		"Nov 23 18:12:01":                                          errNoProgram,
		"Nov 23 18:12:01 host":                                     errNoProgram,
		"Nov 23 18:12:01 host no program here":                     errNoProgram,
		"Nov 23 18:12:01 host [1]: m":                              errNoProgram,
		"Nov 23 18:12:01 host \x1b[31m: m":                         errNoProgram,
		"Nov 23 18:12:01 host prog[1: m":                           errNoProgram,
		"Nov 23 18:12:01 host " + strings.Repeat("p", 200) + ": m": errNoProgram,
	} {
		if _, err := parse(t, New(Config{}), doc(), line); err != want {
			t.Errorf("%q: %v, want %v", line, err, want)
		}
	}
}

func TestSniff(t *testing.T) {
	for line, least := range map[string]int{
		"Nov 23 18:12:01 host sshd[1]: Server listening": 90,
		"<34>1 2023-10-11T22:14:15Z host sudo - - - m":   90,
		"Nov 23 18:12:01 host prog[1]: m":                50,
		"sshd[1]: m":                                     30,
		"":                                               0,
		`{"Records":[]}`:                                 0,
		"2 123456789010 eni-1 9.9.9.9 10.0.0.2 443 50000 6 20 4249 1418530010 1418530070 ACCEPT OK": 0,
		"2023-07-10 12:40:00 INFO starting the program":                                             0,
	} {
		if got := New(Config{}).Sniff([]byte(line)); got < least || got > least+10 {
			t.Errorf("%q: %d, want %d", line, got, least)
		}
	}
}
