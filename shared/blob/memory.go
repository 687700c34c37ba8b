package blob

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"stepsiem/shared/fault"
)

// Memory is a versioned Store for unit tests. The zero value is ready.
type Memory struct {
	mu      sync.Mutex
	objects map[[2]string][]object // versions, oldest first; a nil body is a delete marker
}

type object struct {
	body []byte
	info Info
}

// Get implements Store.
func (m *Memory) Get(_ context.Context, bucket, key, version string) (io.ReadCloser, Info, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	versions := m.objects[[2]string{bucket, key}]
	for _, o := range slices.Backward(versions) {
		if version == "" && o.body == nil {
			break
		}
		if o.body != nil && (version == "" || version == o.info.Version) {
			return io.NopCloser(bytes.NewReader(o.body)), o.info, nil
		}
	}
	return nil, Info{}, fault.New(fault.NotFound, "get %s/%s: no such object", bucket, key)
}

// Put implements Store.
func (m *Memory) Put(_ context.Context, bucket, key string, data []byte, meta map[string]string) (Info, error) {
	return m.add(bucket, key, append([]byte{}, data...), meta), nil
}

func (m *Memory) add(bucket, key string, data []byte, meta map[string]string) Info {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.objects == nil {
		m.objects = map[[2]string][]object{}
	}
	k := [2]string{bucket, key}
	info := Info{Bucket: bucket, Key: key, Version: fmt.Sprintf("v%d", len(m.objects[k])+1), ETag: fmt.Sprintf("%x", sha256.Sum256(data)),
		Size: int64(len(data)), Type: meta[MetaType]}
	if sec, err := strconv.ParseInt(meta[MetaTime], 10, 64); err == nil {
		info.Time = time.Unix(sec, 0).UTC()
	}
	m.objects[k] = append(m.objects[k], object{data, info})
	return info
}

// List implements Store.
func (m *Memory) List(_ context.Context, bucket, prefix string) iter.Seq2[Info, error] {
	m.mu.Lock()
	defer m.mu.Unlock()
	var found []Info
	for k, versions := range maps.All(m.objects) {
		if newest := versions[len(versions)-1]; k[0] == bucket && strings.HasPrefix(k[1], prefix) && newest.body != nil {
			found = append(found, newest.info)
		}
	}
	slices.SortFunc(found, func(a, b Info) int { return strings.Compare(a.Key, b.Key) })
	return func(yield func(Info, error) bool) {
		for _, i := range found {
			if !yield(i, nil) {
				return
			}
		}
	}
}

// Delete implements Store.
func (m *Memory) Delete(_ context.Context, bucket, key string) error {
	m.add(bucket, key, nil, nil)
	return nil
}
