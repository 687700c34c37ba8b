package task

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda/messages"

	"stepsiem/shared/fault"
)

// asTask makes this test binary a Lambda's bootstrap.
const asTask = "STEPSIEM_TEST_TASK"

func TestMain(m *testing.M) {
	if os.Getenv(asTask) != "" {
		Start(play)
	}
	os.Exit(m.Run())
}

type in struct {
	Do string `json:"do"`
}

type out struct {
	Left time.Duration `json:"left"`
}

// play does what its input says.
func play(ctx context.Context, i in) (out, error) {
	switch kind, ok := strings.CutPrefix(i.Do, "fail "); {
	case ok:
		return out{}, fmt.Errorf("do work: %w", fault.New(fault.Kind(kind), "no luck"))
	case i.Do == "panic":
		panic("at the disco")
	case i.Do == "unknown":
		return out{}, errors.New("never seen")
	case i.Do == "long":
		return out{}, errors.New(strings.Repeat("x", 1<<20))
	}
	end, _ := ctx.Deadline()
	return out{time.Until(end)}, nil
}

type outcome struct{ input, name, message string }

func outcomes() []outcome {
	list := []outcome{
		{`{"do":"panic"}`, "Siem.Bug", "panic: at the disco"},
		{`{"do":"unknown"}`, "Siem.Bug", "never seen"},
		{`{"do":7}`, "Siem.BadInput", "decode input: json"},
		{`[]`, "Siem.BadInput", "decode input: json"},
	}
	for _, k := range fault.Kinds() {
		list = append(list, outcome{`{"do":"fail ` + string(k) + `"}`, string(k), "do work: no luck"})
	}
	return list
}

func TestWrap(t *testing.T) {
	h := Wrap(play)
	for _, o := range outcomes() {
		_, err := h(context.Background(), json.RawMessage(o.input))
		named, ok := err.(messages.InvokeResponse_Error) // by value and outermost, or Step Functions sees another name
		if !ok || named.Type != o.name || !strings.HasPrefix(named.Message, o.message) {
			t.Errorf("%s: %#v, want %s", o.input, err, o.name)
		}
	}
	_, err := h(context.Background(), json.RawMessage(`{"do":"long"}`))
	if n := len(err.Error()); n > 2*maxMessage {
		t.Errorf("a message of %d bytes", n)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	got, err := h(ctx, json.RawMessage(`{}`))
	if err != nil || got.Left > time.Minute-Margin || got.Left < time.Minute-2*Margin {
		t.Errorf("%v left, %v: the task must end before Lambda does", got.Left, err)
	}
}

// TestRuntime plays the Lambda Runtime API to a real process: the error names are those that Step Functions will see.
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
func TestRuntime(t *testing.T) {
	type answer struct {
		failed bool
		body   []byte
	}
	events, answers := make(chan string), make(chan answer)
	number := 0
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", func(w http.ResponseWriter, r *http.Request) {
		select {
		case e := <-events:
			number++
			w.Header().Set("Lambda-Runtime-Aws-Request-Id", strconv.Itoa(number))
			w.Header().Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(time.Now().Add(time.Minute).UnixMilli(), 10))
			w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:123456789010:function:play")
			io.WriteString(w, e)
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/{how}", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.WriteHeader(http.StatusAccepted)
		answers <- answer{path.Base(r.URL.Path) == "error", body}
	})
	api := httptest.NewServer(mux)
	defer api.Close()

	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), asTask+"=1", "AWS_LAMBDA_RUNTIME_API="+strings.TrimPrefix(api.URL, "http://"), "AWS_LAMBDA_FUNCTION_NAME=play",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE=128", "AWS_LAMBDA_FUNCTION_VERSION=1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	invoke := func(event string) answer {
		t.Helper()
		select {
		case events <- event:
		case <-time.After(20 * time.Second):
			t.Fatal("the task asks for nothing")
		}
		select {
		case a := <-answers:
			return a
		case <-time.After(20 * time.Second):
			t.Fatal("the task does not answer")
			return answer{}
		}
	}
	for _, o := range outcomes() {
		a := invoke(o.input)
		var e struct{ ErrorType, ErrorMessage string }
		if err := json.Unmarshal(a.body, &e); err != nil || !a.failed || e.ErrorType != o.name || !strings.HasPrefix(e.ErrorMessage, o.message) {
			t.Errorf("%s: %s, want %s", o.input, a.body, o.name)
		}
	}
	if a := invoke(`{}`); a.failed || !strings.HasPrefix(string(a.body), `{"left":5`) { // 57 s in nanoseconds
		t.Errorf("after the failures: %s", a.body)
	}
}

func TestEnv(t *testing.T) {
	type config struct {
		Bucket string        `env:"TEST_BUCKET"`
		Limit  int64         `env:"TEST_LIMIT" default:"7"`
		Count  int           `env:"TEST_COUNT" default:"0"`
		Wait   time.Duration `env:"TEST_WAIT" default:"30"`
	}
	for _, c := range []struct {
		env  map[string]string
		want config
		err  string
	}{
		{map[string]string{"TEST_BUCKET": "b"}, config{"b", 7, 0, 30 * time.Second}, ""},
		{map[string]string{"TEST_BUCKET": "", "TEST_LIMIT": "10737418240", "TEST_COUNT": "-1", "TEST_WAIT": "2"}, config{"", 10737418240, -1, 2 * time.Second}, ""},
		{nil, config{}, "TEST_BUCKET is not set"},
		{map[string]string{"TEST_BUCKET": "b", "TEST_LIMIT": "many"}, config{}, `TEST_LIMIT="many"`},
		{map[string]string{"TEST_BUCKET": "b", "TEST_WAIT": "30s"}, config{}, `TEST_WAIT="30s"`},
	} {
		t.Run(c.err, func(t *testing.T) {
			for k, v := range c.env {
				t.Setenv(k, v)
			}
			got, err := Env[config]()
			if c.err == "" && (err != nil || got != c.want) || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
	t.Setenv("TEST_FLAG", "true")
	if _, err := Env[struct {
		Flag bool `env:"TEST_FLAG"`
	}](); err == nil {
		t.Error("a field of a type that Env does not know is taken")
	}
}
