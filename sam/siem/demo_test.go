package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"stepsiem/shared/geo"
)

// TestSamplesParse reads the samples with siem parse: none of their records is set aside or filtered by mistake.
func TestSamplesParse(t *testing.T) {
	dir := t.TempDir()
	files, err := writeSamples(dir, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"parse"}
	for _, f := range files {
		args = append(args, f.path)
	}
	code, _, stderr := siem(t, args...)
	var got summary
	if err := json.Unmarshal([]byte(stderr), &got); err != nil || code != exitDone {
		t.Fatalf("exit %d, %v: %s", code, err, stderr)
	}
	if got.Quarantined != 0 || got.Documents < 3000 {
		t.Errorf("got %+v", got)
	}
}

func TestSampleDay(t *testing.T) {
	parent := t.TempDir()
	now := time.Date(2026, 1, 31, 12, 0, 0, 5, time.UTC)
	end, dir, err := sampleDay(parent, now)
	if err != nil || !end.Equal(now.Truncate(time.Second)) {
		t.Fatal(end, err)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(parent, "20260131TxZ"), 0o755); err != nil {
		t.Fatal(err)
	}
	if again, _, err := sampleDay(parent, now.Add(3*time.Hour)); err != nil || !again.Equal(end) {
		t.Error("later that day:", again, err)
	}
	if next, _, err := sampleDay(parent, now.Add(24*time.Hour)); err != nil || !next.Equal(end.Add(24*time.Hour)) {
		t.Error("the next day:", next, err)
	}
}

func TestGeoDatabase(t *testing.T) {
	data, err := geoDatabase(time.Unix(1e9, 0))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := geo.Open("demo", data); err != nil {
		t.Error(err)
	}
}

func TestQuestionsAreJSON(t *testing.T) {
	for _, q := range questions {
		if !json.Valid([]byte(q.body)) {
			t.Errorf("%s: %s", q.title, q.body)
		}
	}
}
