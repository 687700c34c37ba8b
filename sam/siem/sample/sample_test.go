package sample

import (
	"bytes"
	"compress/gzip"
	"io"
	"strings"
	"testing"
	"time"

	"stepsiem/shared/address"
	"stepsiem/shared/format"
)

func TestFiles(t *testing.T) {
	end := time.Date(2026, 1, 31, 12, 30, 0, 0, time.UTC)
	files, err := Files(end)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Files(end)
	if err != nil {
		t.Fatal(err)
	}
	types, text := map[string]int{}, ""
	for i, f := range files {
		types[f.Type]++
		if !bytes.Equal(f.Data, again[i].Data) || f.Key != again[i].Key {
			t.Errorf("%s differs the second time", f.Key)
		}
		if got := format.TypeOfKey(f.Key); got != f.Type {
			t.Errorf("%s looks like %q", f.Key, got)
		}
		if f.Time.Before(end.Add(-day)) || f.Time.After(end.Add(5*time.Minute)) {
			t.Errorf("%s ends at %s", f.Key, f.Time)
		}
		data := f.Data
		if strings.HasSuffix(f.Key, ".gz") {
			r, err := gzip.NewReader(bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			if data, err = io.ReadAll(r); err != nil {
				t.Fatal(err)
			}
		}
		text += string(data)
	}
	for _, typ := range []string{"authlog", "cloudtrail", "vpcflowlog"} {
		if types[typ] != 2 {
			t.Errorf("%d files of %s, want yesterday's and today's", types[typ], typ)
		}
	}
	for _, want := range []string{"Accepted password for deploy from " + attacker.String(), `"StopLogging"`, `"cidrIp":"0.0.0.0/0"`, `"MFAUsed":"No"`, "REJECT OK", control.String()} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in the samples", want)
		}
	}
	for _, a := range Hostile() {
		if !address.Public(a) {
			t.Errorf("%s is not public: no feed may name it", a)
		}
	}
}
