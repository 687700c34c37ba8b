package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"stepsiem/shared/batch"
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
