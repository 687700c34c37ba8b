package local

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gopkg.in/yaml.v3"
)

func TestStartedStat(t *testing.T) {
	rest := strings.Repeat(" 0", 18) + " 4711 0 0"
	for stat, want := range map[string]string{
		"12 (java) S" + rest:          "4711",
		"12 (a) b) (c) R" + rest:      "4711",
		"12 (zombie) Z" + rest:        "",
		"12 (short) S 0 0":            "",
		"":                            "",
		"no brackets but many" + rest: "",
	} {
		if got := startedStat([]byte(stat)); got != want && !strings.HasPrefix(stat, "no") {
			t.Errorf("%q: %q, want %q", stat, got, want)
		}
	}
}

func TestProcess(t *testing.T) {
	// It ignores SIGTERM and has a child that would outlive it.
	p, ended, err := launch(exec.Command("sh", "-c", "trap '' TERM; sleep 60 & echo up; wait; wait"), filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	if !p.alive() {
		t.Error("it is not alive")
	}
	stranger := process{p.PID, p.Started + "0"}
	if stranger.alive() {
		t.Error("the pid alone counts")
	}
	if err := stranger.stop(t.Context(), time.Minute); err != nil || !p.alive() {
		t.Errorf("a stranger was stopped: %v", err)
	}
	if err := p.stop(t.Context(), 100*time.Millisecond); err != nil {
		t.Error(err)
	}
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Error("it does not end")
	}
	if p.alive() || (process{}).alive() {
		t.Error("alive after its end")
	}
}

func TestCached(t *testing.T) {
	cache, ctx := t.TempDir(), t.Context()
	fail := errors.New("interrupted")
	_, err := cached(ctx, cache, "thing", func(dir string) error {
		if err := os.WriteFile(filepath.Join(dir, "half"), nil, 0o644); err != nil {
			return err
		}
		return fail
	})
	if !errors.Is(err, fail) {
		t.Fatal(err)
	}
	built := 0
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			dir, err := cached(ctx, cache, "thing", func(dir string) error {
				built++
				return os.WriteFile(filepath.Join(dir, "whole"), nil, 0o644)
			})
			if err != nil {
				t.Error(err)
				return
			}
			if files, _ := filepath.Glob(filepath.Join(dir, "*")); len(files) != 1 || filepath.Base(files[0]) != "whole" {
				t.Errorf("it holds %v", files)
			}
		})
	}
	wg.Wait()
	if built != 1 {
		t.Errorf("built %d times", built)
	}
}

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := lock(t.Context(), path, func() { t.Error("waits for nobody") })
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	told := 0
	if _, err := lock(ctx, path, func() { told++ }); !errors.Is(err, context.DeadlineExceeded) || told != 1 {
		t.Errorf("a taken lock: %v, told %d times", err, told)
	}
	unlock()
	if unlock, err = lock(t.Context(), path, func() {}); err != nil {
		t.Fatal(err)
	}
	unlock()
}

func TestPort(t *testing.T) {
	p, err := port(0)
	if err != nil || p < 20000 || p >= 32000 {
		t.Fatal(p, err)
	}
	if again, err := port(p); err != nil || again != p {
		t.Errorf("a free port %d is not kept: %d, %v", p, again, err)
	}
}

func TestUnversioned(t *testing.T) {
	for jar, want := range map[string]string{
		"jackson-core-2.22.1.jar":          "jackson-core",
		"log4j-1.2-api-2.25.4.jar":         "log4j-1.2-api",
		"netty-buffer-4.2.16.Final.jar":    "netty-buffer",
		"spatial4j-0.7.jar":                "spatial4j",
		"thing-1.0-linux.jar":              "thing-linux",
		"plugin-descriptor.properties":     "plugin-descriptor.properties",
		"httpcore5-reactive-5.4.jar":       "httpcore5-reactive",
		"aws-crt-0.35.0-linux_x86_64.jar":  "aws-crt-linux_x86_64",
		"opensearch-agent-boot-3.8.0.jar":  "opensearch-agent-boot",
		"annotations-2.32.29-SNAPSHOT.jar": "annotations-SNAPSHOT",
	} {
		if got := unversioned(jar); got != want {
			t.Errorf("%s: %s, want %s", jar, got, want)
		}
	}
}

func TestBootstrapZip(t *testing.T) {
	a, err := bootstrapZip([]byte("binary"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := bootstrapZip([]byte("binary"))
	if err != nil || !bytes.Equal(a, b) {
		t.Errorf("two zips of one binary differ: %v", err)
	}
	z, err := zip.NewReader(bytes.NewReader(a), int64(len(a)))
	if err != nil {
		t.Fatal(err)
	}
	if len(z.File) != 1 || z.File[0].Name != "bootstrap" || z.File[0].Mode().Perm() != 0o755 {
		t.Errorf("the zip holds %+v", z.File)
	}
}

func TestTemplate(t *testing.T) {
	const text = `Parameters:
  Size: {Type: Number}
Resources:
  GeoEnrichFunction:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: ., Environment: {Variables: {A: !Ref Size}}}
  PlanFunction:
    Type: AWS::Serverless::Function
    Properties: {Timeout: 3}
  Machine:
    Type: AWS::Serverless::StateMachine
    Properties: {DefinitionUri: a.json, Name: !Sub "${AWS::StackName}-a"}
`
	tpl, err := parseTemplate([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		folders []string
		want    string
	}{
		{[]string{"geo-enrich", "plan"}, ""},
		{[]string{"plan"}, "tasks/geo-enrich, which does not exist"},
		{[]string{"geo-enrich", "plan", "index"}, "tasks/index has no function"},
	} {
		err := tpl.match(c.folders)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %q", c.folders, err, c.want)
		}
	}
	setKey(tpl.functions["geo-enrich"], "CodeUri", "s3://b/geo.zip")
	setKey(tpl.functions["plan"], "CodeUri", "s3://b/plan.zip")
	setKey(tpl.machines["Machine"], "DefinitionUri", "s3://b/a.json")
	got, err := yaml.Marshal(tpl.document)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.NewReplacer("CodeUri: .", "CodeUri: s3://b/geo.zip", "{Timeout: 3}", "{Timeout: 3, CodeUri: s3://b/plan.zip}", "a.json", "s3://b/a.json").Replace(text)
	if normal(t, string(got)) != normal(t, want) {
		t.Errorf("packed:\n%s\nwant:\n%s", got, want)
	}
	if !tpl.parameters["Size"] || len(tpl.parameters) != 1 {
		t.Errorf("parameters are %v", tpl.parameters)
	}
}

// normal is YAML in one layout.
func normal(t *testing.T, text string) string {
	t.Helper()
	var n yaml.Node
	if err := yaml.Unmarshal([]byte(text), &n); err != nil {
		t.Fatal(err)
	}
	out, err := yaml.Marshal(&n)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// TestMakefile holds sam build and the local run to the same compiler flags.
func TestMakefile(t *testing.T) {
	text, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	quoted := slices.Clone(buildFlags)
	for i, f := range quoted {
		if strings.Contains(f, " ") {
			quoted[i] = "'" + f + "'"
		}
	}
	if flags := "CGO_ENABLED=0 GOOS=linux GOARCH=$(GOARCH) go build " + strings.Join(quoted, " "); !strings.Contains(string(text), flags) {
		t.Errorf("the Makefile does not build with %s", flags)
	}
}

func TestParameters(t *testing.T) {
	s := &Stack{Search: "http://127.0.0.1:1"}
	got := Config{Parameters: map[string]string{"SearchEndpoint": "http://proxy", "KeepFlows": "public"}}.
		parameters(s, map[string]bool{"SearchEndpoint": true, "SearchAuth": true})
	if len(got) != 3 || got["SearchEndpoint"] != "http://proxy" || got["SearchAuth"] != "basic" || got["KeepFlows"] != "public" {
		t.Errorf("parameters are %v", got)
	}
}
