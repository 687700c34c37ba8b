package local

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// lock takes the lock file at path, waiting for another process that holds it.
func lock(ctx context.Context, path string, waiting func()) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	told := false
	err = poll(ctx, 200*time.Millisecond, func() bool {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err != nil && !told {
			told = true
			waiting()
		}
		return err == nil
	})
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return func() { f.Close() }, nil
}

// cached is the folder cache/name. If it is not there, build makes it beside its place, and it appears only when complete:
// what an interrupted build leaves is thrown away by the next.
func cached(ctx context.Context, cache, name string, build func(dir string) error) (string, error) {
	path := filepath.Join(cache, name)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	unlock, err := lock(ctx, path+".lock", func() {})
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	old, err := filepath.Glob(path + ".partial-*")
	if err != nil {
		return "", err
	}
	for _, dir := range old {
		if err := os.RemoveAll(dir); err != nil {
			return "", err
		}
	}
	dir, err := os.MkdirTemp(cache, name+".partial-") // a new name: what an interrupted build started may still write to the old
	if err != nil {
		return "", err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", err
	}
	if err := build(dir); err != nil {
		return "", err
	}
	return path, os.Rename(dir, path)
}

// digest names content: equal parts, equal digest.
func digest(parts ...[]byte) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:", len(p))
		h.Write(p)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// nobody runs OpenSearch when we are root, which it refuses to be.
const nobody = 65534

// reachable is dir, or a folder that stands for it where nobody can enter dir.
func reachable(dir string) (string, error) {
	if os.Geteuid() != 0 || enterable(dir) {
		return dir, os.MkdirAll(dir, 0o755)
	}
	other := filepath.Join("/var/tmp", "stepsiem-"+digest([]byte(dir)))
	if err := os.Mkdir(other, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	info, err := os.Lstat(other)
	if err != nil {
		return "", err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); !info.IsDir() || !ok || st.Uid != 0 || info.Mode()&0o022 != 0 {
		return "", fmt.Errorf("use %s: it belongs to somebody else; remove it", other)
	}
	return other, nil
}

// enterable says whether everybody can enter dir, or would once it is made.
func enterable(dir string) bool {
	for {
		info, err := os.Stat(dir)
		if err == nil && info.Mode()&0o001 == 0 {
			return false
		}
		up := filepath.Dir(dir)
		if up == dir {
			return true
		}
		dir = up
	}
}
