package indicator

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"stepsiem/shared/fault"
)

// bucket keeps objects in memory and remembers what was asked of it; the ETag follows from the content.
type bucket struct {
	objects map[string][]byte
	err     error
	log     []string
}

func (b *bucket) Fetch(_ context.Context, key, etag string) ([]byte, string, error) {
	if b.err != nil {
		return nil, "", b.err
	}
	data, ok := b.objects[key]
	if !ok {
		return nil, "", fault.New(fault.NotFound, "no object %s", key)
	}
	sum := sha256.Sum256(data)
	if tag := hex.EncodeToString(sum[:]); tag != etag {
		b.log = append(b.log, "get "+key)
		return data, tag, nil
	}
	return nil, etag, nil
}

func (b *bucket) Put(_ context.Context, key string, data []byte) error {
	if b.err != nil {
		return b.err
	}
	b.log = append(b.log, "put "+key)
	b.objects[key] = data
	return nil
}

func TestPublish(t *testing.T) {
	b := &bucket{objects: map[string][]byte{}}
	p, err := Publish(t.Context(), b, nested, noon.Add(time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	if want := "put " + p.Key + ",put " + PointerKey; strings.Join(b.log, ",") != want {
		t.Errorf("%s: a pointer must not name what is not there yet", b.log)
	}
	if p.Key != "indicators/sets/"+p.Version+".set" || p.Count != len(nested) || !p.Created.Equal(noon) {
		t.Errorf("%+v", p)
	}
	var stored map[string]any
	if err := json.Unmarshal(b.objects[PointerKey], &stored); err != nil || len(stored) != 5 || stored["created"] != "2026-01-31T12:00:00Z" {
		t.Errorf("%s, %v", b.objects[PointerKey], err)
	}
	if again, err := Publish(t.Context(), b, nested, noon); err != nil || again != p {
		t.Errorf("the same again: %+v, %v", again, err)
	}
	if _, err := Publish(t.Context(), b, []Entry{{}}, noon); fault.Of(err) != fault.BadInput {
		t.Errorf("a bad entry: %v", err)
	}
	b.err = fault.New(fault.Throttled, "slow down")
	if _, err := Publish(t.Context(), b, nested, noon); fault.Of(err) != fault.Throttled {
		t.Errorf("a failing Put: %v", err)
	}
}

func TestStore(t *testing.T) {
	b := &bucket{objects: map[string][]byte{}}
	now := noon
	always, rarely := NewStore(b, 0), NewStore(b, time.Minute)
	named := netip.MustParseAddr("45.9.20.7")
	publish := func(entries ...Entry) string {
		t.Helper()
		p, err := Publish(t.Context(), b, entries, now)
		if err != nil {
			t.Fatal(err)
		}
		return p.Version
	}
	check := func(s *Store, want, log string) *Set {
		t.Helper()
		b.log = nil
		set, note, err := s.Current(t.Context(), now)
		if err != nil {
			t.Fatal(err)
		}
		version := ""
		if set != nil {
			version = set.Version()
		}
		if version != want || (note == "") != (set != nil) || strings.Join(b.log, ",") != log {
			t.Errorf("version %q, want %q; note %q; %s", version, want, note, b.log)
		}
		return set
	}
	fails := func(what string, kind fault.Kind) {
		t.Helper()
		if set, _, err := always.Current(t.Context(), now); fault.Of(err) != kind || set != nil {
			t.Errorf("%s: %v", what, err)
		}
	}

	check(always, "", "")
	check(rarely, "", "")
	v1 := publish(nested...)
	fetches := func(version string) string { return "get " + PointerKey + ",get indicators/sets/" + version + ".set" }
	old := check(always, v1, fetches(v1))
	check(always, v1, "")
	check(rarely, "", "")
	now = now.Add(time.Minute)
	check(rarely, v1, fetches(v1))

	v2 := publish(entry("8.8.8.8/32", 5, "odd"))
	check(rarely, v1, "")
	if set := check(always, v2, fetches(v2)); v2 <= v1 || set == old {
		t.Errorf("version %s behind %s", v2, v1)
	} else if _, ok := set.Match(named); ok {
		t.Error("a withdrawn address matches")
	}
	if _, ok := old.Match(named); !ok {
		t.Error("a set changed after it was replaced")
	}

	good := b.objects[PointerKey]
	b.err = errors.New("the network is gone")
	fails("no answer", fault.Bug)
	b.err = fault.New(fault.Throttled, "slow down")
	fails("throttled", fault.Throttled)
	b.err = nil
	now = now.Add(time.Second)
	v3 := publish(nested...)
	data := b.objects["indicators/sets/"+v3+".set"]
	b.objects["indicators/sets/"+v3+".set"] = data[:99]
	fails("a truncated set", fault.Bug)
	delete(b.objects, "indicators/sets/"+v3+".set")
	fails("a missing set", fault.Bug)
	b.objects[PointerKey] = []byte("{")
	fails("a corrupt pointer", fault.Bug)
	b.objects[PointerKey] = good
	check(always, v2, "")
	delete(b.objects, PointerKey)
	check(always, "", "")
}
