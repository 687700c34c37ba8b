package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/sync/errgroup"
)

// Up brings the stack of c.Home up: it installs what is missing in the cache, builds the tasks, starts what does not run
// and deploys. A running stack is deployed to again only when template, machines, binaries or parameters changed.
func Up(ctx context.Context, c Config) (*Stack, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(c.Home, "logs"), 0o755); err != nil {
		return nil, err
	}
	unlock, err := lockHome(ctx, c.Home, func() { c.Log("waiting for another process that works on " + c.Home) })
	if err != nil {
		return nil, err
	}
	defer unlock()
	st, err := load(c.Home)
	if err != nil {
		return nil, err
	}
	if st.Deployed == "" || !st.Engine.Process.alive() || st.Engine.healthy(ctx) != nil { // nothing there to keep
		if err := st.clear(ctx); err != nil {
			return nil, fmt.Errorf("clear away the old stack: %w", err)
		}
		if st.Engine.Port, err = port(st.Engine.Port); err != nil {
			return nil, err
		}
	}
	if !st.Search.Process.alive() {
		if err := st.Search.pickPorts(); err != nil {
			return nil, err
		}
	}
	s := &Stack{AWS: st.Engine.url(), Search: st.Search.url(), Region: region, home: c.Home}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return c.upSearch(ctx, st, s.AWS) })
	g.Go(func() error {
		var p *built
		ready, both := errgroup.WithContext(ctx)
		ready.Go(func() (err error) {
			p, err = c.build(both)
			return err
		})
		ready.Go(func() error { return c.upEngine(both, st) })
		if err := ready.Wait(); err != nil {
			return err
		}
		return c.deploy(ctx, st, s, p)
	})
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return &st.Stack, nil
}

func lockHome(ctx context.Context, home string, waiting func()) (unlock func(), err error) {
	return lock(ctx, filepath.Join(home, "lock"), waiting)
}

func engineLog(home string) string { return filepath.Join(home, "logs/engine.log") }

func (c Config) upEngine(ctx context.Context, st *state) error {
	e := st.Engine
	if e.Process.alive() {
		return nil
	}
	venv, err := c.installPython(ctx)
	if err != nil {
		return err
	}
	c.Log("AWS engine: starting")
	e.Dir = filepath.Join(c.Home, "engine")
	return e.start(ctx, venv, engineLog(c.Home), func() error {
		return st.change(func() { st.Engine = e })
	})
}

func (c Config) upSearch(ctx context.Context, st *state, s3 string) error {
	s := st.Search
	if s.Process.alive() && s.healthy(ctx) == nil {
		return nil
	}
	if err := s.stop(ctx); err != nil {
		return err
	}
	home, err := c.installSearch(ctx)
	if err != nil {
		return err
	}
	venv, err := c.installPython(ctx)
	if err != nil {
		return err
	}
	c.Log("OpenSearch: starting")
	if s.Dir, err = reachable(filepath.Join(c.Home, "search")); err != nil {
		return err
	}
	s.Home, s.Java, s.Heap = home, java(venv), c.Heap
	return st.startSearch(ctx, s, s3)
}

func (st *state) startSearch(ctx context.Context, s search, s3 string) error {
	log := filepath.Join(filepath.Dir(st.path), "logs/opensearch.log")
	return s.start(ctx, s3, log, func() error {
		return st.change(func() { st.Search = s })
	})
}

// clear stops the servers and removes their data; ports and logs stay.
func (st *state) clear(ctx context.Context) error {
	err := errors.Join(st.Engine.stop(ctx), st.Search.stop(ctx))
	if err != nil {
		return err
	}
	for _, dir := range []string{st.Engine.Dir, st.Search.Dir} {
		if dir == "" {
			continue
		}
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return st.change(func() {
		st.Engine.Process, st.Search.Process = process{}, process{}
		st.Deployed, st.Stack = "", Stack{}
	})
}

// ErrDown says that no stack runs at a home.
var ErrDown = errors.New("the local stack is not up: run siem up")

// Open attaches to the stack that runs at home, DefaultHome when that is empty.
func Open(home string) (*Stack, error) {
	home, err := absolute(home)
	if err != nil {
		return nil, err
	}
	st, err := load(home)
	if err != nil {
		return nil, err
	}
	if st.Deployed == "" || !st.Engine.Process.alive() {
		return nil, fmt.Errorf("open %s: %w", home, ErrDown)
	}
	return &st.Stack, nil
}

// Healthy says what is wrong with the stack, if anything.
func (s *Stack) Healthy(ctx context.Context) error {
	st, err := load(s.home)
	if err != nil {
		return err
	}
	if err := st.Engine.healthy(ctx); err != nil {
		return fmt.Errorf("the AWS engine does not answer: %w", err)
	}
	if err := st.Search.healthy(ctx); err != nil {
		return fmt.Errorf("OpenSearch is not healthy: %w", err)
	}
	return nil
}

// Down stops the stack and discards its data: the engine's dies with it, and OpenSearch's is of no use alone.
func (s *Stack) Down(ctx context.Context) error { return Down(ctx, s.home) }

// Down stops whatever runs at home, also what an interrupted Up left; DefaultHome when home is empty.
func Down(ctx context.Context, home string) error {
	home, err := absolute(home)
	if err != nil {
		return err
	}
	if _, err := os.Stat(home); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return locked(ctx, home, func(st *state) error { return st.clear(ctx) })
}

// StopSearch stops OpenSearch; data and port stay.
func (s *Stack) StopSearch(ctx context.Context) error {
	return locked(ctx, s.home, func(st *state) error { return st.Search.stop(ctx) })
}

// StartSearch starts OpenSearch again on its data and returns when it is healthy.
func (s *Stack) StartSearch(ctx context.Context) error {
	return locked(ctx, s.home, func(st *state) error {
		if st.Search.Process.alive() {
			return nil
		}
		return st.startSearch(ctx, st.Search, st.Engine.url())
	})
}

// locked works on the state as it is now.
func locked(ctx context.Context, home string, work func(*state) error) error {
	unlock, err := lockHome(ctx, home, func() {})
	if err != nil {
		return err
	}
	defer unlock()
	st, err := load(home)
	if err != nil {
		return err
	}
	return work(st)
}

// AWSConfig is for the clients of aws-sdk-go-v2; of them only S3 needs more, see S3.
func (s *Stack) AWSConfig() aws.Config {
	return aws.Config{
		Region:       s.Region,
		Credentials:  credentials.NewStaticCredentialsProvider(accessKey, accessKey, ""),
		BaseEndpoint: aws.String(s.AWS),
	}
}

// S3 is a client that names the bucket in the path: 127.0.0.1 has no subdomains.
func (s *Stack) S3() *s3.Client {
	return s3.NewFromConfig(s.AWSConfig(), func(o *s3.Options) { o.UsePathStyle = true })
}

// port returns the preferred port if it is free, else another. It stays below the range that systems take the ports of
// outgoing connections from, so that none of those gets in before the server is up.
func port(preferred int) (int, error) {
	for try := range 100 {
		p := preferred
		if p == 0 || try > 0 {
			p = 20000 + rand.IntN(12000)
		}
		l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(p))
		if err == nil {
			return p, l.Close()
		}
	}
	return 0, errors.New("find a free port: none between 20000 and 32000")
}
