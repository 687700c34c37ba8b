package blob_test

import (
	"bytes"
	"context"
	"io"
	"slices"
	"testing"
	"time"

	"stepsiem/shared/blob"
	"stepsiem/shared/fault"
)

func TestMemory(t *testing.T) { conform(t, &blob.Memory{}, "b") }

// conform holds a Store with a versioned bucket to its contract.
func conform(t *testing.T, s blob.Store, bucket string) {
	ctx := context.Background()
	put := func(key, text string) blob.Info {
		t.Helper()
		info, err := s.Put(ctx, bucket, key, []byte(text), nil)
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	get := func(key, version string) string {
		t.Helper()
		body, info, err := s.Get(ctx, bucket, key, version)
		if err != nil {
			return string(fault.Of(err))
		}
		defer body.Close()
		b, err := io.ReadAll(body)
		if err != nil || info.Size != int64(len(b)) || info.Key != key || info.Bucket != bucket {
			t.Errorf("%s: %+v, %v", key, info, err)
		}
		return string(b)
	}
	list := func(prefix string) (keys []string) {
		t.Helper()
		for info, err := range s.List(ctx, bucket, prefix) {
			if err != nil {
				t.Fatal(err)
			}
			keys = append(keys, info.Key)
		}
		return keys
	}

	const odd = "d/a b+c%2F&=?#ü\u2028.gz"
	first, second := put("a", "one"), put("a", "two")
	put("d/2", "")
	put("d/10", "x")
	put(odd, "odd")
	for _, c := range []struct{ key, version, want string }{
		{"a", "", "two"}, {"a", first.Version, "one"}, {"a", second.Version, "two"}, {"d/2", "", ""}, {odd, "", "odd"},
		{"gone", "", string(fault.NotFound)}, {"a", "no-such-version", string(fault.NotFound)}, {"d", "", string(fault.NotFound)},
	} {
		if got := get(c.key, c.version); got != c.want {
			t.Errorf("get %q %q: %q, want %q", c.key, c.version, got, c.want)
		}
	}
	if first.Version == second.Version || first.ETag == second.ETag || first.ETag == "" {
		t.Errorf("versions %+v and %+v", first, second)
	}
	if again := put("a", "two"); again.ETag != second.ETag {
		t.Errorf("equal bytes have ETags %s and %s", second.ETag, again.ETag)
	}
	if got, want := list("d/"), []string{"d/10", "d/2", odd}; !slices.Equal(got, want) {
		t.Errorf("listed %q, want %q", got, want)
	}
	for info, err := range s.List(ctx, bucket, "") {
		if err != nil || info.Key != "a" {
			t.Errorf("first of all is %+v, %v", info, err)
		}
		break
	}
	for range 2 { // a missing object is no error
		if err := s.Delete(ctx, bucket, "a"); err != nil {
			t.Error(err)
		}
	}
	if got := get("a", ""); got != string(fault.NotFound) {
		t.Errorf("deleted, and still %q", got)
	}
	if got := get("a", first.Version); got != "one" {
		t.Errorf("the version before is %q", got)
	}
	if got := list(""); slices.Contains(got, "a") {
		t.Errorf("deleted, and still listed: %q", got)
	}
	if put("a", "back"); get("a", "") != "back" {
		t.Error("an object does not come back")
	}

	at := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	if _, err := s.Put(ctx, bucket, "m", []byte("x"), map[string]string{blob.MetaTime: "1769860800", blob.MetaType: "authlog"}); err != nil {
		t.Fatal(err)
	}
	body, info, err := s.Get(ctx, bucket, "m", "")
	if err != nil || !info.Time.Equal(at) || info.Type != "authlog" {
		t.Fatalf("metadata: %+v, %v", info, err)
	}
	body.Close()
}

// TestOwnBytes: a store keeps nothing of the caller's.
func TestOwnBytes(t *testing.T) {
	var s blob.Memory
	b := []byte("one")
	if _, err := s.Put(t.Context(), "b", "k", b, nil); err != nil {
		t.Fatal(err)
	}
	copy(b, "two")
	if got, err := blob.Read(t.Context(), &s, "b", "k", 100); err != nil || string(got) != "one" {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := blob.Read(t.Context(), &s, "b", "k", 2); err != nil || string(got) != "on" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestFetch(t *testing.T) {
	b := blob.Bucket{Store: &blob.Memory{}, Name: "b"}
	if err := b.Put(t.Context(), "k", []byte("one")); err != nil {
		t.Fatal(err)
	}
	data, etag, err := b.Fetch(t.Context(), "k", "")
	if err != nil || string(data) != "one" || etag == "" {
		t.Fatalf("%q %q %v", data, etag, err)
	}
	if data, same, err := b.Fetch(t.Context(), "k", etag); err != nil || data != nil || same != etag {
		t.Errorf("unchanged: %q %q %v", data, same, err)
	}
	if err := b.Put(t.Context(), "k", []byte("two")); err != nil {
		t.Fatal(err)
	}
	if data, other, err := b.Fetch(t.Context(), "k", etag); err != nil || !bytes.Equal(data, []byte("two")) || other == etag {
		t.Errorf("changed: %q %q %v", data, other, err)
	}
	if _, _, err := b.Fetch(t.Context(), "gone", etag); fault.Of(err) != fault.NotFound {
		t.Error(err)
	}
}
