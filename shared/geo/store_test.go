package geo

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

// bucket is a Fetcher in memory; the ETag follows from the content.
type bucket struct {
	objects map[string][]byte
	err     error
	fetched []string
}

func (b *bucket) Fetch(_ context.Context, key, etag string) ([]byte, string, error) {
	if b.err != nil {
		return nil, "", b.err
	}
	data, ok := b.objects[key]
	if !ok {
		return nil, "", fault.New(fault.NotFound, "no object %s", key)
	}
	if tag := sum(data); tag != etag {
		b.fetched = append(b.fetched, key)
		return data, tag, nil
	}
	return nil, etag, nil
}

func sum(data []byte) string {
	h := sha256.Sum256(data)
	return hex.EncodeToString(h[:])
}

func (b *bucket) point(t *testing.T, keys ...string) {
	t.Helper()
	var p Pointer
	for _, k := range keys {
		o := Object{k, sum(b.objects[k])}
		if k == "ranges" {
			p.AWSRanges = &o
		} else {
			p.Databases = append(p.Databases, o)
		}
	}
	var err error
	if b.objects[PointerKey], err = json.Marshal(p); err != nil {
		t.Fatal(err)
	}
}

func TestStore(t *testing.T) {
	b := &bucket{objects: map[string][]byte{}}
	s := NewStore(b, 5*time.Minute)
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	step := func(name string, later time.Duration, want, wantNote, wantFetched string) {
		t.Helper()
		now, b.fetched = now.Add(later), nil
		db, note, err := s.Current(t.Context(), now)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got := string(db.AppendFields(nil, netip.MustParseAddr("8.8.8.8")))
		if got != want || !strings.Contains(note, wantNote) || (note == "") != (wantNote == "") {
			t.Errorf("%s: got %s, note %q", name, got, note)
		}
		if fetched := strings.Join(b.fetched, " "); fetched != wantFetched {
			t.Errorf("%s: fetched %s", name, fetched)
		}
	}

	b.err = errors.New("the network is gone")
	if _, _, err := s.Current(t.Context(), now); err == nil {
		t.Error("no error without a set and without an answer")
	}
	b.err = nil
	step("no pointer", 0, "", "no geo database: ", "")
	b.objects["city"], b.objects["asn"], b.objects["ranges"] = flat(t, 4, "8.8.8.0/24"), asn(t), []byte(rangesJSON)
	b.point(t, "city", "ranges")
	step("not looked at yet", time.Minute, "", "no geo database: ", "")
	step("first set", 4*time.Minute, california, "", PointerKey+" city ranges")
	step("unchanged", 5*time.Minute, california, "", "")
	b.point(t, "city", "asn")
	both := california + `,"as":{"number":15169,"organization":{"name":"GOOGLE"}}`
	step("only what is new is fetched", 5*time.Minute, both, "", PointerKey+" asn")

	good := b.objects[PointerKey]
	b.objects["bad"] = b.objects["city"][:300]
	b.point(t, "bad")
	step("corrupt database", 5*time.Minute, both, "old geo database kept: open geo database bad", PointerKey+" bad")
	b.point(t, "city")
	b.objects["other"] = []byte("x")
	b.objects[PointerKey] = []byte(strings.Replace(string(b.objects[PointerKey]), `"city"`, `"other"`, 1))
	step("wrong checksum", 5*time.Minute, both, "SHA-256", PointerKey+" other")
	b.objects[PointerKey] = []byte("{")
	step("corrupt pointer", 5*time.Minute, both, "decode "+PointerKey, PointerKey)
	delete(b.objects, PointerKey)
	step("pointer gone", 5*time.Minute, both, "old geo database kept", "")
	b.err = errors.New("the network is gone")
	step("no answer", 5*time.Minute, both, "the network is gone", "")
	b.err, b.objects[PointerKey] = nil, good
	step("as it was", 5*time.Minute, both, "", "")
	b.point(t, "asn")
	step("a smaller set", 5*time.Minute, `,"as":{"number":15169,"organization":{"name":"GOOGLE"}}`, "", PointerKey)
}
