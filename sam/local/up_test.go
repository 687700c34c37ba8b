package local

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	sfntypes "github.com/aws/aws-sdk-go-v2/service/sfn/types"
)

// TestUp goes through the life of a stack with the two functions of testdata/stub.
func TestUp(t *testing.T) {
	if testing.Short() {
		t.Skip("starts servers")
	}
	ctx := t.Context()
	module := t.TempDir()
	if err := os.CopyFS(module, os.DirFS("testdata/stub")); err != nil {
		t.Fatal(err)
	}
	var lines []string
	c := Config{Home: t.TempDir(), Template: filepath.Join(module, "template.yaml"), Log: func(line string) { lines = append(lines, line); t.Log(line) }}
	if _, err := Open(c.Home); !errors.Is(err, ErrDown) {
		t.Fatalf("Open before Up: %v", err)
	}
	t.Cleanup(func() {
		if err := Down(context.Background(), c.Home); err != nil {
			t.Error(err)
		}
	})
	s := up(t, c)
	if err := s.Healthy(ctx); err != nil {
		t.Fatal(err)
	}
	if s.LandingBucket != "stepsiem-landing-000000000000" || s.Account != "000000000000" || s.Outputs["Landing"] != s.LandingBucket {
		t.Fatalf("stack is %+v", s)
	}

	// An object put into the landing bucket runs the machine, which sees the key as it is.
	const key = "AWSLogs/a b+c%25/ü.json.gz"
	if _, err := s.S3().PutObject(ctx, &s3.PutObjectInput{Bucket: &s.LandingBucket, Key: aws.String(key), Body: strings.NewReader("x")}); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Event struct {
			Object struct{ Key, Sequencer string }
		}
		Greeting, Search string
	}
	if err := json.Unmarshal([]byte(firstOutput(t, s)), &got); err != nil {
		t.Fatal(err)
	}
	if got.Event.Object.Key != key || got.Greeting != "hello" || got.Search != s.Search {
		t.Errorf("the function answered %+v", got)
	}

	functions := lambda.NewFromConfig(s.AWSConfig())
	out, err := functions.Invoke(ctx, &lambda.InvokeInput{FunctionName: aws.String("stepsiem-echo"), Payload: []byte(`{}`), LogType: lambdatypes.LogTypeTail})
	if err != nil {
		t.Fatal(err)
	}
	log, _ := base64.StdEncoding.DecodeString(aws.ToString(out.LogResult))
	report := regexp.MustCompile(`(?s)echo got 2 bytes\n.*Duration: [\d.]+ ms\tBilled Duration: \d+ ms\tMemory Size: 128 MB\tMax Memory Used: [1-9]\d* MB`)
	if !report.Match(log) {
		t.Errorf("the log is %q", log)
	}
	out, err = functions.Invoke(ctx, &lambda.InvokeInput{FunctionName: aws.String("stepsiem-sleep"), Payload: []byte(`{}`)})
	if err != nil || !bytes.Contains(out.Payload, []byte("Sandbox.Timedout")) {
		t.Errorf("a function beyond its timeout answers %s, %v", out.Payload, err)
	}

	// What runs and is up to date is left alone; what changed is deployed.
	lines = nil
	up(t, c)
	if strings.Contains(strings.Join(lines, "\n"), "deploying") {
		t.Errorf("deployed again without a change")
	}
	main := filepath.Join(module, "tasks/echo/main.go")
	text, err := os.ReadFile(main)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(main, bytes.Replace(text, []byte("echo got"), []byte("ECHO GOT"), 1), 0o644); err != nil {
		t.Fatal(err)
	}
	c.Parameters = map[string]string{"Greeting": "bonjour"}
	s = up(t, c)
	if s.LandingBucket == "" || s.Outputs["Landing"] != s.LandingBucket {
		t.Errorf("after the change the stack is %+v", s)
	}
	out, err = functions.Invoke(ctx, &lambda.InvokeInput{FunctionName: aws.String("stepsiem-echo"), Payload: []byte(`{}`), LogType: lambdatypes.LogTypeTail})
	if err != nil {
		t.Fatal(err)
	}
	log, _ = base64.StdEncoding.DecodeString(aws.ToString(out.LogResult))
	if !bytes.Contains(out.Payload, []byte("bonjour")) || !bytes.Contains(log, []byte("ECHO GOT")) {
		t.Errorf("after the change the function answers %s and logs %q", out.Payload, log)
	}

	testSearch(t, s)
	pids := pids(t, c.Home)
	if err := s.Down(ctx); err != nil {
		t.Fatal(err)
	}
	for _, p := range pids {
		if p.alive() {
			t.Errorf("process %d is still there", p.PID)
		}
	}
	if _, err := Open(c.Home); !errors.Is(err, ErrDown) {
		t.Errorf("Open after Down: %v", err)
	}
}

func up(t *testing.T, c Config) *Stack {
	t.Helper()
	begin := time.Now()
	s, err := Up(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("up in %s", time.Since(begin).Round(100*time.Millisecond))
	return s
}

func pids(t *testing.T, home string) []process {
	t.Helper()
	st, err := load(home)
	if err != nil {
		t.Fatal(err)
	}
	return []process{st.Engine.Process, st.Search.Process}
}

// testSearch stops and starts OpenSearch and finds its data, then takes a snapshot to S3.
func testSearch(t *testing.T, s *Stack) {
	t.Helper()
	call(t, http.MethodPut, s.Search+"/things/_doc/1?refresh=true", `{"n":1}`)
	if err := s.StopSearch(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Healthy(t.Context()); err == nil {
		t.Error("healthy without OpenSearch")
	}
	if err := s.StartSearch(t.Context()); err != nil {
		t.Fatal(err)
	}
	call(t, http.MethodGet, s.Search+"/things/_doc/1", "")
	call(t, http.MethodPut, s.Search+"/_snapshot/s3", `{"type":"s3","settings":{"bucket":"`+s.LandingBucket+`","base_path":"snapshots"}}`)
	call(t, http.MethodPut, s.Search+"/_snapshot/s3/one?wait_for_completion=true", `{"indices":"things"}`)
}

func call(t *testing.T, method, url, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		t.Fatalf("%s %s: %s", method, url, resp.Status)
	}
}

// firstOutput waits for the machine's first execution to end.
func firstOutput(t *testing.T, s *Stack) string {
	t.Helper()
	client := sfn.NewFromConfig(s.AWSConfig())
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var output string
	err := poll(ctx, 100*time.Millisecond, func() bool {
		list, err := client.ListExecutions(ctx, &sfn.ListExecutionsInput{StateMachineArn: aws.String(s.Machines["ingest"])})
		if err != nil || len(list.Executions) == 0 || list.Executions[0].Status == sfntypes.ExecutionStatusRunning {
			return false
		}
		d, err := client.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: list.Executions[0].ExecutionArn})
		if err != nil || d.Status != sfntypes.ExecutionStatusSucceeded {
			t.Fatalf("the execution is %+v, %v", d, err)
		}
		output = aws.ToString(d.Output)
		return true
	})
	if err != nil {
		t.Fatalf("no execution: %v", err)
	}
	return output
}
