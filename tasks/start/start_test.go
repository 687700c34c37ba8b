package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"stepsiem/shared/batch"
	"stepsiem/shared/blob"
	"stepsiem/shared/fault"
)

// fake is Step Functions, SQS and OpenSearch.
type fake struct {
	executions map[string]execution // by name
	running    int
	page       int    // executions a page; 0: all
	refuse     string // type whose executions can't be started
	sick, mute error  // of OpenSearch and SQS

	started, redriven []string
	inputs            map[string]batch.Request
	dead              []*sqs.SendMessageInput
}

type execution struct {
	status  types.ExecutionStatus
	redrive types.ExecutionRedriveStatus
	err     fault.Kind
	refused bool // answers a redrive that it can't be redriven
}

func (f *fake) StartExecution(_ context.Context, in *sfn.StartExecutionInput, _ ...func(*sfn.Options)) (*sfn.StartExecutionOutput, error) {
	if f.refuse != "" && strings.HasPrefix(*in.Name, f.refuse) {
		return nil, errors.New("slow down")
	}
	if _, ok := f.executions[*in.Name]; ok {
		return nil, fmt.Errorf("operation: %w", &types.ExecutionAlreadyExists{})
	}
	var r batch.Request
	if err := json.Unmarshal([]byte(*in.Input), &r); err != nil || len(*in.Input) > 256<<10 || len(*in.Name) > 80 {
		return nil, fmt.Errorf("input of %d bytes or name %s: %v", len(*in.Input), *in.Name, err)
	}
	f.started = append(f.started, *in.Name)
	f.inputs[*in.Name] = r
	return &sfn.StartExecutionOutput{}, nil
}

func (f *fake) DescribeExecution(_ context.Context, in *sfn.DescribeExecutionInput, _ ...func(*sfn.Options)) (*sfn.DescribeExecutionOutput, error) {
	name, ok := strings.CutPrefix(*in.ExecutionArn, "arn:aws:states:eu-west-1:123456789012:execution:siem-ingest:")
	e, known := f.executions[name]
	if !ok || !known {
		return nil, fmt.Errorf("no execution %s", *in.ExecutionArn)
	}
	return &sfn.DescribeExecutionOutput{Status: e.status, RedriveStatus: e.redrive, Error: aws.String(string(e.err))}, nil
}

func (f *fake) RedriveExecution(_ context.Context, in *sfn.RedriveExecutionInput, _ ...func(*sfn.Options)) (*sfn.RedriveExecutionOutput, error) {
	name := (*in.ExecutionArn)[strings.LastIndex(*in.ExecutionArn, ":")+1:]
	if f.executions[name].refused {
		return nil, fmt.Errorf("operation: %w", &types.ExecutionNotRedrivable{})
	}
	f.redriven = append(f.redriven, name)
	return &sfn.RedriveExecutionOutput{}, nil
}

func (f *fake) ListExecutions(_ context.Context, in *sfn.ListExecutionsInput, _ ...func(*sfn.Options)) (*sfn.ListExecutionsOutput, error) {
	if in.StatusFilter != types.ExecutionStatusRunning {
		return nil, errors.New("unexpected filter")
	}
	before := len(aws.ToString(in.NextToken))
	n := min(int(in.MaxResults), f.running-before)
	if f.page > 0 {
		n = min(n, f.page)
	}
	out := &sfn.ListExecutionsOutput{Executions: make([]types.ExecutionListItem, n)}
	if before+n < f.running {
		out.NextToken = aws.String(strings.Repeat("n", before+n))
	}
	return out, nil
}

func (f *fake) SendMessage(_ context.Context, in *sqs.SendMessageInput, _ ...func(*sqs.Options)) (*sqs.SendMessageOutput, error) {
	f.dead = append(f.dead, in)
	return &sqs.SendMessageOutput{}, f.mute
}

func (f *fake) Healthy(context.Context) error { return f.sick }

func starter(f *fake) (*Starter, *blob.Memory) {
	f.inputs = map[string]batch.Request{}
	store := &blob.Memory{}
	return &Starter{Machine: f, Running: f, Queue: f, Store: store, Search: f,
		Config: Config{LandingBucket: landing, WorkBucket: "work", MaxRunning: 2, DeadLetters: "https://queue/dead",
			Machine: "arn:aws:states:eu-west-1:123456789012:stateMachine:siem-ingest"}}, store
}

func handle(t *testing.T, s *Starter, in events.SQSEvent) []string {
	t.Helper()
	out, err := s.Handle(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	var failed []string
	for _, f := range out.BatchItemFailures {
		failed = append(failed, f.ItemIdentifier)
	}
	return failed
}

func ids(in events.SQSEvent) (ids []string) {
	for _, m := range in.Records {
		ids = append(ids, m.MessageId)
	}
	return ids
}

// event is messages that S3 sends through EventBridge for objects.
func event(objects ...batch.Object) (in events.SQSEvent) {
	for i, o := range objects {
		body, _ := json.Marshal(map[string]any{"source": "aws.s3", "detail-type": "Object Created", "time": o.Time,
			"detail": map[string]any{"bucket": map[string]string{"name": o.Bucket}, "object": map[string]any{"key": o.Key, "version-id": o.Version, "etag": o.ETag, "size": o.Size}}})
		in.Records = append(in.Records, events.SQSMessage{MessageId: fmt.Sprintf("m%d", i), Body: string(body)})
	}
	return in
}

func name(run string, objects ...batch.Object) string {
	id, objects := batch.ID(slices.Clone(objects))
	return batch.Name(id, objects, run)
}

func TestStart(t *testing.T) {
	f := &fake{}
	s, _ := starter(f)
	in := fixture(t, "eventbridge.json")
	in.Records = append(in.Records, in.Records[0]) // SQS delivers at least once
	if failed := handle(t, s, in); failed != nil {
		t.Errorf("failed %v", failed)
	}
	want := map[string]batch.Request{name("", trail): {Objects: []batch.Object{trail}}, name("", odd): {Objects: []batch.Object{odd}}}
	if !reflect.DeepEqual(f.inputs, want) {
		t.Errorf("started %+v\nwant %+v", f.inputs, want)
	}
	if n := name("", trail); !strings.HasPrefix(n, "cloudtrail-20260131T120000Z-") {
		t.Errorf("name is %s", n)
	}
}

// TestStartAgain: a batch that was delivered before is not ingested twice, but one that failed gets its chance.
func TestStartAgain(t *testing.T) {
	failed := execution{status: types.ExecutionStatusFailed, redrive: types.ExecutionRedriveStatusNotRedrivable}
	redrivable := execution{status: types.ExecutionStatusTimedOut, redrive: types.ExecutionRedriveStatusRedrivable}
	refused, bug := redrivable, redrivable
	refused.refused, bug.err = true, fault.Bug
	first, second, third := name("", trail), name("rerun2", trail), name("rerun3", trail)
	for what, tt := range map[string]struct {
		executions        map[string]execution
		started, redriven []string
	}{
		"running":                    {executions: map[string]execution{first: {status: types.ExecutionStatusRunning}}},
		"succeeded":                  {executions: map[string]execution{first: {status: types.ExecutionStatusSucceeded}}},
		"failed":                     {executions: map[string]execution{first: redrivable}, redriven: []string{first}},
		"failed for good":            {executions: map[string]execution{first: failed}, started: []string{second}},
		"refuses":                    {executions: map[string]execution{first: refused}, started: []string{second}},
		"failed by a bug":            {executions: map[string]execution{first: bug}, started: []string{second}},
		"failed twice":               {executions: map[string]execution{first: failed, second: failed}, started: []string{third}},
		"second one is running":      {executions: map[string]execution{first: failed, second: {status: types.ExecutionStatusRunning}}},
		"second one can be redriven": {executions: map[string]execution{first: failed, second: redrivable}, redriven: []string{second}},
	} {
		t.Run(what, func(t *testing.T) {
			f := &fake{executions: tt.executions}
			s, _ := starter(f)
			if failed := handle(t, s, event(trail)); failed != nil {
				t.Errorf("failed %v", failed)
			}
			if !slices.Equal(f.started, tt.started) || !slices.Equal(f.redriven, tt.redriven) {
				t.Errorf("started %q, redrove %q; want %q, %q", f.started, f.redriven, tt.started, tt.redriven)
			}
		})
	}
	t.Run("for ever", func(t *testing.T) {
		f := &fake{executions: map[string]execution{first: failed}}
		for i := range maxRuns {
			f.executions[name(fmt.Sprintf("rerun%d", i+1), trail)] = failed
		}
		s, _ := starter(f)
		if got := handle(t, s, event(trail)); len(got) != 1 || f.started != nil {
			t.Errorf("failed %q, started %q; want the message back", got, f.started)
		}
	})
}

// TestStartAlone: what can't be read or started takes nothing else along.
func TestStartAlone(t *testing.T) {
	t.Run("unreadable", func(t *testing.T) {
		f := &fake{}
		s, _ := starter(f)
		in := fixture(t, "unreadable.json")
		if failed := handle(t, s, in); failed != nil {
			t.Errorf("failed %v", failed)
		}
		if !slices.Equal(f.started, []string{name("", trail)}) {
			t.Errorf("started %q", f.started)
		}
		if len(f.dead) != 1 || *f.dead[0].MessageBody != in.Records[0].Body || *f.dead[0].QueueUrl != "https://queue/dead" ||
			!strings.Contains(*f.dead[0].MessageAttributes["Reason"].StringValue, "decode message: invalid character") {
			t.Errorf("dead letters %+v", f.dead)
		}
	})
	t.Run("unreadable and no dead letters", func(t *testing.T) {
		f := &fake{mute: errors.New("throttled")}
		s, _ := starter(f)
		in := fixture(t, "unreadable.json")
		if failed := handle(t, s, in); !slices.Equal(failed, ids(in)[:1]) || len(f.started) != 1 {
			t.Errorf("failed %q, started %q", failed, f.started)
		}
	})
	t.Run("one type can't be started", func(t *testing.T) {
		f := &fake{refuse: "cloudtrail"}
		s, _ := starter(f)
		if failed := handle(t, s, event(flow, trail, odd, trail)); !slices.Equal(failed, []string{"m1", "m3"}) || len(f.started) != 2 {
			t.Errorf("failed %q, started %q", failed, f.started)
		}
	})
	t.Run("another bucket", func(t *testing.T) {
		f := &fake{}
		s, _ := starter(f)
		other := odd
		other.Bucket = "elsewhere"
		if failed := handle(t, s, event(other, trail)); failed != nil || !slices.Equal(f.started, []string{name("", trail)}) {
			t.Errorf("failed %q, started %q", failed, f.started)
		}
	})
}

// TestStartLarge: an execution's input is at most 256 KiB, what 6 MB of messages tell of is more.
func TestStartLarge(t *testing.T) {
	f := &fake{}
	s, store := starter(f)
	var objects []batch.Object
	for i := range 1500 {
		o := trail
		o.Version = fmt.Sprintf("%032d", i)
		objects = append(objects, o)
	}
	if failed := handle(t, s, event(objects...)); failed != nil || len(f.started) != 1 {
		t.Fatalf("failed %v, started %q", failed, f.started)
	}
	at := f.inputs[f.started[0]].Input
	if at == nil || *at != (batch.Pointer{Bucket: "work", Key: "requests/" + f.started[0] + ".json"}) {
		t.Fatalf("input %+v", f.inputs)
	}
	raw, err := blob.Read(t.Context(), store, at.Bucket, at.Key, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	var got batch.Request
	if err := json.Unmarshal(raw, &got); err != nil || !reflect.DeepEqual(got.Objects, objects) {
		t.Errorf("stored %d objects, error %v", len(got.Objects), err)
	}
}

func TestBackPressure(t *testing.T) {
	for name, tt := range map[string]struct {
		fake fake
		wait bool
	}{
		"as many as allowed":     {fake: fake{running: 2, page: 1}},
		"one more":               {fake: fake{running: 3, page: 1}, wait: true},
		"OpenSearch is not well": {fake: fake{sick: fault.New(fault.Unavailable, "cluster is red")}, wait: true},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := starter(&tt.fake)
			in := fixture(t, "unreadable.json")
			failed := handle(t, s, in)
			if tt.wait && (!slices.Equal(failed, ids(in)) || tt.fake.started != nil || tt.fake.dead != nil) || !tt.wait && (failed != nil || len(tt.fake.started) != 1) {
				t.Errorf("failed %q, started %q, %d dead letters", failed, tt.fake.started, len(tt.fake.dead))
			}
		})
	}
}
