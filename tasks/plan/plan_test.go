package main

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"stepsiem/shared/batch"
	"stepsiem/shared/blob"
	"stepsiem/shared/fault"
)

func planner() *Planner {
	return &Planner{Config: Config{WorkBucket: "work", GroupBytes: 1000, GroupObjects: 3, MaxGroups: 4}, Store: &blob.Memory{}}
}

func put(t *testing.T, p *Planner, key, body string) {
	t.Helper()
	if _, err := p.Store.Put(t.Context(), "landing", key, []byte(body), nil); err != nil {
		t.Fatal(err)
	}
}

func TestPlanGroups(t *testing.T) {
	p := planner()
	var req batch.Request
	for i := range 7 {
		key := fmt.Sprintf("authlog/2026/01/%02d/12/a.log", i+1)
		put(t, p, key, "x")
		req.Objects = append(req.Objects, batch.Object{Bucket: "landing", Key: key})
	}
	put(t, p, "authlog/empty.log", "")
	req.Objects = append(req.Objects, batch.Object{Bucket: "landing", Key: "authlog/folder/"}, batch.Object{Bucket: "landing", Key: "authlog/empty.log"},
		batch.Object{Bucket: "landing", Key: "authlog/gone.log"}, req.Objects[0])
	plan, err := p.Handle(t.Context(), Input{Request: req, Execution: "by-hand"})
	if err != nil {
		t.Fatal(err)
	}
	if plan.Objects != 8 || len(plan.Groups) != 3 || plan.Dropped["folder"] != 1 || plan.Dropped["empty"] != 1 || plan.Type != "authlog" || plan.Large {
		t.Errorf("plan is %+v", plan)
	}
	again, err := p.Handle(t.Context(), Input{Request: req, Execution: "again-rerun1"})
	if err != nil || again.Batch != plan.Batch || again.Run == plan.Run || !again.Groups[0].Replay || plan.Groups[0].Replay {
		t.Errorf("the same objects again are %+v, %v", again, err)
	}
}

func TestPlanPrefix(t *testing.T) {
	p := planner()
	for _, day := range []string{"2026/01/30", "2026/01/31", "2026/02/01"} {
		put(t, p, "cloudtrail/"+day+"/a.json", "x")
	}
	tests := []struct {
		name, from, to string
		objects        int
		kind           fault.Kind
	}{
		{"all", "", "", 3, ""},
		{"from a day", "2026-01-31", "", 2, ""},
		{"to is exclusive", "2026-01-30", "2026-02-01", 2, ""},
		{"a time", "2026-01-30T00:00:01Z", "", 2, ""},
		{"no date", "yesterday", "", 0, fault.BadInput},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			plan, err := p.Handle(t.Context(), Input{Request: batch.Request{Bucket: "landing", Prefix: "cloudtrail/", From: tt.from, To: tt.to}, Execution: "x"})
			if fault.Of(err) != tt.kind || plan.Objects != tt.objects {
				t.Errorf("%d objects, %v", plan.Objects, err)
			}
		})
	}
}

func TestPlanParts(t *testing.T) {
	p := planner()
	var req batch.Request
	for i := range 30 {
		req.Objects = append(req.Objects, batch.Object{Bucket: "landing", Key: fmt.Sprintf("%02d.log", i), ETag: "e", Size: 10, Time: time.Unix(0, 0)})
	}
	plan, err := p.Handle(t.Context(), Input{Request: req, Execution: "x"})
	if err != nil {
		t.Fatal(err)
	}
	if !plan.Large || len(plan.Groups) != 0 || plan.Parts == nil {
		t.Fatalf("plan is %+v", plan)
	}
	raw, err := blob.Read(t.Context(), p.Store, plan.Parts.Bucket, plan.Parts.Key, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	var parts []part
	if err := json.Unmarshal(raw, &parts); err != nil || len(parts) != 3 {
		t.Fatalf("parts are %s, %v", raw, err)
	}
	objects := 0
	for _, part := range parts {
		sub, err := p.Handle(t.Context(), Input{Request: batch.Request{Input: &part.Input}, Execution: "y"})
		if err != nil || sub.Large {
			t.Fatalf("a part is %+v, %v", sub, err)
		}
		objects += sub.Objects
	}
	if objects != 30 {
		t.Errorf("the parts hold %d of 30 objects", objects)
	}
}

func TestPlanNothing(t *testing.T) {
	for _, req := range []batch.Request{{}, {Objects: []batch.Object{{Key: "k"}}}} {
		if _, err := planner().Handle(t.Context(), Input{Request: req, Execution: "x"}); fault.Of(err) != fault.BadInput {
			t.Errorf("%+v: %v", req, err)
		}
	}
}
