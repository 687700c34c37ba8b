package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"stepsiem/shared/batch"
	"stepsiem/shared/blob"
	"stepsiem/shared/search"
)

func TestLandingKey(t *testing.T) {
	for _, c := range [][3]string{
		{"/logs", "/logs/a/b c+d%.gz", "upload/a/b c+d%.gz"},
		{"/logs/", "/logs/x.gz", "upload/x.gz"},
		{"logs", "logs/x.gz", "upload/x.gz"},
		{".", "x.gz", "upload/x.gz"},
		{"/logs/x.gz", "/logs/x.gz", "upload/x.gz"},
		{"x.gz", "x.gz", "upload/x.gz"},
		{"../../x.gz", "../../x.gz", "upload/x.gz"},
		{"../logs", "../logs/a/x.gz", "upload/a/x.gz"},
	} {
		if got := landingKey(c[0], c[1]); got != c[2] {
			t.Errorf("%s under %s: %s, want %s", c[1], c[0], got, c[2])
		}
	}
}

func TestGather(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"b.log", "a/x.gz", "a/empty", ".git/config", ".hidden", "LICENSE", "MANIFEST.tsv", "NOTICE.md", "a/README.txt", "notes.MD", "license.log"} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(root, "b.log"), filepath.Join(root, "link.log")); err != nil {
		t.Fatal(err)
	}
	keys := func(all bool, paths ...string) (keys []string, skipped int) {
		files, skips, err := gather(paths, all)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			keys = append(keys, f.key)
		}
		return keys, len(skips)
	}
	got, skipped := keys(false, root)
	if want := []string{"upload/a/empty", "upload/a/x.gz", "upload/b.log", "upload/license.log", "upload/link.log"}; !slices.Equal(got, want) || skipped != 7 {
		t.Errorf("got %q, %d skipped", got, skipped)
	}
	if got, skipped := keys(true, root); len(got) != 12 || skipped != 0 {
		t.Errorf("all: %q, %d skipped", got, skipped)
	}
	if got, _ := keys(false, filepath.Join(root, "LICENSE"), filepath.Join(root, "a")); !slices.Equal(got, []string{"upload/LICENSE", "upload/empty", "upload/x.gz"}) {
		t.Errorf("named: %q", got)
	}
	if _, _, err := gather([]string{filepath.Join(root, "none")}, false); err == nil {
		t.Error("a missing path is no error")
	}
}

func TestMerge(t *testing.T) {
	// Two executions read the same version side by side: each indexed a part, and met the other's part as duplicates.
	a := batch.Row{Counts: batch.Counts{Read: 10, Indexed: 6, Duplicate: 3, Quarantined: 1}}
	b := batch.Row{Counts: batch.Counts{Read: 10, Indexed: 3, Duplicate: 6, Quarantined: 1}}
	merge(&a, &b)
	if want := (batch.Counts{Read: 10, Indexed: 9, Quarantined: 1}); a.Counts != want {
		t.Errorf("got %+v", a.Counts)
	}
}

// TestAccount sums rows of our own versions over executions, of which one failed and two read the same version.
func TestAccount(t *testing.T) {
	refreshed := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/cwl-*/_refresh" {
			refreshed++
		}
		fmt.Fprint(w, "{}")
	}))
	defer server.Close()
	client, err := search.New(search.Config{Endpoint: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	e := &environment{store: new(blob.Memory), search: client, LandingBucket: "landing", WorkBucket: "work"}
	row := func(key, version string, read, indexed, duplicate int64) batch.Row {
		return batch.Row{Object: "s3://landing/" + key, Version: version, Type: "authlog",
			Counts: batch.Counts{Objects: 1, Read: read, Indexed: indexed, Duplicate: duplicate}}
	}
	ran := func(name string, rows ...batch.Row) *execution {
		a := batch.Sum(&batch.Plan{Run: name}, rows, []string{"no geo database"})
		detail, err := json.Marshal(map[string]any{"rows": rows})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.store.Put(t.Context(), e.WorkBucket, a.Detail, detail, nil); err != nil {
			t.Fatal(err)
		}
		output, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		return &execution{Name: name, Status: succeeded, output: string(output)}
	}
	list := []*execution{
		ran("one", row("a b/x", "1", 10, 6, 4), row("foreign", "1", 100, 100, 0)),
		ran("two", row("a b/x", "1", 10, 4, 6), row("a b/x", "0", 50, 50, 0)),
		{Name: "three", Status: "FAILED"},
	}
	r, err := e.account(t.Context(), list, map[version]bool{{"landing", "a b/x", "1"}: true})
	if err != nil {
		t.Fatal(err)
	}
	want := batch.Counts{Objects: 1, Read: 10, Indexed: 10}
	if r.Counts != want || r.Types["authlog"] != want || !slices.Equal(r.Notes, []string{"no geo database"}) || refreshed != 1 {
		t.Errorf("got %+v, refreshed %d times", r, refreshed)
	}
	if r.failed() == nil {
		t.Error("a failed execution is no error")
	}
	if r, err = e.account(t.Context(), list[:2], nil); err != nil || r.Read != 170 || r.failed() != nil {
		t.Errorf("all rows: %+v, %v", r, err)
	}
}
