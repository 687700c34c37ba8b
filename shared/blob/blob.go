// Package blob reads and writes objects. S3 is the real store; Memory behaves the same in unit tests.
package blob

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"time"
)

// Info is what a store knows of an object.
type Info struct {
	Bucket  string    `json:"bucket"`
	Key     string    `json:"key"`
	Version string    `json:"version,omitempty"`
	ETag    string    `json:"etag,omitempty"`
	Size    int64     `json:"size"`
	Time    time.Time `json:"time"`           // last modified, or the mtime (seconds since 1970) that the writer left in the metadata
	Type    string    `json:"type,omitempty"` // metadata "type": the log type that the writer knows it to be
}

// Metadata keys that siem ingest leaves on what it uploads.
const (
	MetaTime = "mtime"
	MetaType = "type"
)

// Store is an object store. Errors have a kind: fault.Of says NotFound for what is not there (also with a version that is
// not there), Denied, Throttled or Unavailable.
type Store interface {
	// Get opens an object, the newest version when version is "". The caller closes the body. Errors while reading the body
	// are the store's, never a clean io.EOF.
	Get(ctx context.Context, bucket, key, version string) (io.ReadCloser, Info, error)
	// Put writes an object whole or not at all.
	Put(ctx context.Context, bucket, key string, body []byte, meta map[string]string) (Info, error)
	// List gives the objects under a prefix in key order; an error ends it.
	List(ctx context.Context, bucket, prefix string) iter.Seq2[Info, error]
	// Delete removes an object (its newest version becomes a delete marker in a versioned bucket); a missing one is no error.
	Delete(ctx context.Context, bucket, key string) error
}

// Read returns an object's bytes, at most limit of them.
func Read(ctx context.Context, s Store, bucket, key string, limit int64) ([]byte, error) {
	body, _, err := s.Get(ctx, bucket, key, "")
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(io.LimitReader(body, limit))
}

// PutJSON writes v as an object.
func PutJSON(ctx context.Context, s Store, bucket, key string, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %s: %w", key, err)
	}
	_, err = s.Put(ctx, bucket, key, raw, nil)
	return err
}

// Bucket is one bucket of a store.
type Bucket struct {
	Store Store
	Name  string
}

// maxFetch bounds what Fetch holds in memory: a large geo database fits.
const maxFetch = 1 << 30

// Fetch reads an object unless its ETag is still etag, in which case it answers no data.
func (b Bucket) Fetch(ctx context.Context, key, etag string) (data []byte, newETag string, err error) {
	body, info, err := b.Store.Get(ctx, b.Name, key, "")
	if err != nil {
		return nil, "", err
	}
	defer body.Close()
	if etag != "" && info.ETag == etag {
		return nil, etag, nil
	}
	data, err = io.ReadAll(io.LimitReader(body, maxFetch))
	return data, info.ETag, err
}

// Put writes an object whole.
func (b Bucket) Put(ctx context.Context, key string, data []byte) error {
	_, err := b.Store.Put(ctx, b.Name, key, data, nil)
	return err
}
