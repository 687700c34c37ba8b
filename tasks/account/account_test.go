package main

import (
	"encoding/json"
	"testing"

	"stepsiem/shared/batch"
	"stepsiem/shared/blob"
	"stepsiem/shared/fault"
)

func store(t *testing.T, s blob.Store, key string, v any) {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), "work", key, raw, nil); err != nil {
		t.Fatal(err)
	}
}

// TestAccount folds one group of two objects and one chunk, and then with a document lost on the way.
func TestAccount(t *testing.T) {
	a := &Accountant{Config: Config{WorkBucket: "work"}, Store: &blob.Memory{}}
	in := Input{Plan: batch.Plan{Batch: "b", Run: "run", Objects: 2}, Groups: []string{"0001"}}
	store(t, a.Store, batch.LedgerKey("run", "0001"), batch.ParseLedger{Group: "0001",
		Objects: []batch.ObjectTally{{LogType: "authlog", Read: 10, Documents: 7, Quarantined: 1, Filtered: map[string]int64{"cron": 2}}, {LogType: "authlog", Read: 1, Quarantined: 1, Failed: "gone"}},
		Chunks:  []batch.ChunkTally{{Chunk: "0001-0001", Documents: map[int]int64{0: 7}}}})
	index := func(indexed int64) {
		store(t, a.Store, batch.LedgerKey("run", "0001-0001"), batch.IndexLedger{Chunk: "0001-0001", Notes: []string{"no geo database"},
			Objects: map[int]batch.IndexCounts{0: {Indexed: indexed, Duplicate: 1, Quarantined: 1}}})
	}
	index(5)
	got, err := a.Handle(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	want := batch.Counts{Objects: 2, Read: 11, Indexed: 5, Duplicate: 1, Quarantined: 3, Filtered: 2}
	if got.Total != want || got.Types["authlog"] != want || len(got.Failed) != 1 || len(got.Notes) != 1 {
		t.Errorf("account is %+v", got)
	}

	index(4)
	if _, err := a.Handle(t.Context(), in); fault.Of(err) != fault.Bug {
		t.Errorf("a lost document: %v", err)
	}
	index(5)
	in.Objects = 3
	if _, err := a.Handle(t.Context(), in); fault.Of(err) != fault.Bug {
		t.Errorf("a lost object: %v", err)
	}
	in.Objects, in.Groups = 2, []string{"0001", "0002"}
	if _, err := a.Handle(t.Context(), in); fault.Of(err) != fault.Bug {
		t.Errorf("a lost ledger: %v", err)
	}
}

func TestAccountOfParts(t *testing.T) {
	a := &Accountant{Config: Config{WorkBucket: "work"}, Store: &blob.Memory{}}
	for _, run := range []string{"r1", "r2"} {
		c := batch.Counts{Objects: 2, Read: 3, Indexed: 3}
		store(t, a.Store, batch.AccountKey(run), detail{Account: batch.Account{Run: run, Total: c, Types: map[string]batch.Counts{"authlog": c}}})
	}
	in := Input{Plan: batch.Plan{Batch: "b", Run: "run", Objects: 4, Large: true}, Runs: []string{"r1", "r2"}}
	got, err := a.Handle(t.Context(), in)
	if err != nil || got.Total.Indexed != 6 || got.Types["authlog"].Objects != 4 {
		t.Errorf("account is %+v, %v", got, err)
	}
	in.Runs = in.Runs[:1]
	if _, err := a.Handle(t.Context(), in); fault.Of(err) != fault.Bug {
		t.Errorf("a lost part: %v", err)
	}
}
