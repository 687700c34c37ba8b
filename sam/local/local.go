// Package local is the local run: the very template, machines and binaries on a local AWS engine (LocalEmu) with a real
// OpenSearch beside it. It installs what it needs, starts it, deploys, waits for health and stops it. The servers listen
// on loopback only and outlive the process that started them.
package local

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

const (
	region    = "us-east-1"
	accessKey = "test" // and its secret; the engine's account 000000000000 belongs to it
	stackName = "stepsiem"
)

// Config says where a stack lives and what it deploys. Every field has a default.
type Config struct {
	Home       string            // state, data, logs and ports of this one stack; DefaultHome
	Cache      string            // downloads, shared by all homes; beside DefaultHome
	Template   string            // template.yaml with tasks/, statemachines/ and go.mod beside it; the nearest upwards
	Heap       string            // of OpenSearch, as Java writes it; 512m
	Parameters map[string]string // of the template, over what the local run sets
	Log        func(line string) // what is being done
}

// DefaultHome is the folder of the stack of whoever names none.
func DefaultHome() string { return filepath.Join(cacheDir(), "home") }

func cacheDir() string {
	dir, err := os.UserCacheDir()
	if err != nil { // no $HOME
		dir = os.TempDir()
	}
	return filepath.Join(dir, "stepsiem")
}

// absolute is the full path of a home, which may be "" for the default.
func absolute(home string) (string, error) { return filepath.Abs(cmp.Or(home, DefaultHome())) }

func (c Config) withDefaults() (Config, error) {
	c.Cache = cmp.Or(c.Cache, filepath.Join(cacheDir(), "cache"))
	c.Heap = cmp.Or(c.Heap, "512m")
	var mu sync.Mutex
	log := c.Log
	c.Log = func(line string) { // work goes on side by side
		mu.Lock()
		defer mu.Unlock()
		if log != nil {
			log(line)
		}
	}
	var err error
	if c.Home, err = absolute(c.Home); err != nil {
		return c, err
	}
	if c.Cache, err = filepath.Abs(c.Cache); err != nil {
		return c, err
	}
	if c.Template == "" {
		c.Template, err = findUp("template.yaml")
	} else {
		c.Template, err = filepath.Abs(c.Template)
	}
	if err != nil {
		return c, err
	}
	c.Cache, err = reachable(c.Cache)
	return c, err
}

// findUp finds a file in the working folder or the nearest one above it.
func findUp(name string) (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", fmt.Errorf("find %s: run this inside the repository", name)
		}
		dir = up
	}
}

// Stack is a running stack: where it answers and what was deployed.
type Stack struct {
	AWS              string            `json:"aws"`    // endpoint URL of every AWS service
	Search           string            `json:"search"` // endpoint URL of OpenSearch
	Region           string            `json:"region"`
	Account          string            `json:"account"`
	Outputs          map[string]string `json:"outputs"`  // of the CloudFormation stack
	Machines         map[string]string `json:"machines"` // name without the stack's: ARN
	LandingBucket    string            `json:"landing_bucket"`
	WorkBucket       string            `json:"work_bucket"`
	QuarantineBucket string            `json:"quarantine_bucket"`
	ArchiveBucket    string            `json:"archive_bucket"`
	DataBucket       string            `json:"data_bucket"`

	home string
}

// state is what home/state.json remembers.
type state struct {
	Engine   engine `json:"engine"`
	Search   search `json:"search"`
	Deployed string `json:"deployed"` // fingerprint of what the engine runs; "" when that is nothing
	Stack    Stack  `json:"stack"`

	path string
	mu   sync.Mutex
}

func load(home string) (*state, error) {
	st := &state{path: filepath.Join(home, "state.json")}
	text, err := os.ReadFile(st.path)
	if errors.Is(err, fs.ErrNotExist) {
		return st, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, st); err != nil {
		return nil, fmt.Errorf("read %s: %w", st.path, err)
	}
	st.Stack.home = home
	return st, nil
}

// change makes a change and saves it.
func (st *state) change(change func()) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	change()
	text, err := json.MarshalIndent(st, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(st.path+".new", text, 0o644); err != nil {
		return err
	}
	return os.Rename(st.path+".new", st.path)
}
