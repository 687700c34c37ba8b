package eni

import (
	"context"
	"encoding/json"
	"iter"
	"reflect"
	"strings"
	"testing"
	"time"

	"stepsiem/shared/blob"
	"stepsiem/shared/fault"
)

var noon = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

func TestRemember(t *testing.T) {
	const keep = 30 * 24 * time.Hour
	s := Snapshot{Taken: noon, Interfaces: map[string]Interface{"eni-1": {VPC: "vpc-new", Seen: noon}}}
	s.Remember(Snapshot{Interfaces: map[string]Interface{
		"eni-1": {VPC: "vpc-old", Seen: noon.Add(-time.Hour)},
		"eni-2": {VPC: "vpc-2", Seen: noon.Add(-keep)},
		"eni-3": {VPC: "vpc-3", Seen: noon.Add(-keep - 1)},
	}}, keep)
	want := map[string]Interface{"eni-1": {VPC: "vpc-new", Seen: noon}, "eni-2": {VPC: "vpc-2", Seen: noon.Add(-keep)}}
	if !reflect.DeepEqual(s.Interfaces, want) {
		t.Errorf("interfaces %v, want %v", s.Interfaces, want)
	}
}

// counted counts reads and can be out of order.
type counted struct {
	blob.Memory
	lists int
	sick  bool
}

func (c *counted) List(ctx context.Context, bucket, prefix string) iter.Seq2[blob.Info, error] {
	c.lists++
	if c.sick {
		return func(yield func(blob.Info, error) bool) { yield(blob.Info{}, fault.New(fault.Unavailable, "away")) }
	}
	return c.Memory.List(ctx, bucket, prefix)
}

func (c *counted) put(t *testing.T, key string, v any) {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Put(t.Context(), "data", key, raw, nil); err != nil {
		t.Fatal(err)
	}
}

func TestStore(t *testing.T) {
	from := &counted{}
	s := NewStore(from, "data", time.Minute)
	want := func(id, vpc string) {
		t.Helper()
		if got, ok := s.Lookup(id); ok != (vpc != "") || got.VPC != vpc {
			t.Errorf("%s: %+v, %v; want %q", id, got, ok, vpc)
		}
	}
	refresh := func(at time.Duration, note string) {
		t.Helper()
		if got := strings.Join(s.Refresh(t.Context(), noon.Add(at)), "; "); (note == "") != (got == "") || !strings.Contains(got, note) {
			t.Errorf("note %q, want %q", got, note)
		}
	}

	want("eni-1", "") // before anything was read
	refresh(0, "")    // no snapshot is no trouble
	want("eni-1", "")

	from.put(t, Key("1", "eu-west-1"), Snapshot{Interfaces: map[string]Interface{"eni-1": {VPC: "vpc-1", SecurityGroups: []string{"sg-1", "sg-2"}, Seen: noon}}})
	from.put(t, Key("2", "eu-west-1"), Snapshot{Interfaces: map[string]Interface{"eni-2": {VPC: "vpc-2", Seen: noon}, "eni-1": {VPC: "vpc-of-old"}}})
	refresh(59*time.Second, "") // too early
	want("eni-1", "")
	refresh(time.Minute, "")
	want("eni-1", "vpc-1")
	want("eni-2", "vpc-2")
	if got, _ := s.Lookup("eni-1"); !reflect.DeepEqual(got, Interface{VPC: "vpc-1", SecurityGroups: []string{"sg-1", "sg-2"}, Seen: noon}) {
		t.Errorf("interface %+v", got)
	}

	from.put(t, Key("2", "eu-west-1"), "nonsense")
	from.put(t, Key("1", "eu-west-1"), Snapshot{Interfaces: map[string]Interface{"eni-3": {VPC: "vpc-3", Seen: noon}}})
	refresh(2*time.Minute, "decode interface snapshot s3://data/eni/2/eu-west-1.json")
	want("eni-2", "vpc-2") // the one that was readable stays
	want("eni-3", "vpc-3")

	from.sick = true
	refresh(2*time.Minute, "away") // trouble is not waited out
	want("eni-3", "vpc-3")
	if from.lists != 4 {
		t.Errorf("listed %d times", from.lists)
	}
}

func TestWanted(t *testing.T) {
	from := &counted{}
	s := NewStore(from, "data", time.Minute)
	want := func(at time.Duration, want bool) {
		t.Helper()
		s.Refresh(t.Context(), noon.Add(at))
		s.Lookup("eni-1")
		if got := s.Wanted(noon.Add(at)); got != want {
			t.Errorf("wanted after %v: %v", at, got)
		}
		if s.Wanted(noon.Add(at)) {
			t.Errorf("wanted again after %v", at)
		}
	}
	want(0, true) // nothing is known at all
	from.put(t, Key("1", "eu-west-1"), Snapshot{Taken: noon.Add(30 * time.Second)})
	want(time.Minute, false) // the snapshot is too young for another to say more
	want(2*time.Minute, true)
	from.put(t, Key("1", "eu-west-1"), Snapshot{Taken: noon, Interfaces: map[string]Interface{"eni-1": {}}})
	want(3*time.Minute, false) // found
}
