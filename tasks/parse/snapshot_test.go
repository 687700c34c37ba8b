package main

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"stepsiem/shared/blob"
	"stepsiem/shared/eni"
)

type fakeLambda struct {
	called []string
	err    error
}

func (f *fakeLambda) Invoke(_ context.Context, in *lambda.InvokeInput, _ ...func(*lambda.Options)) (*lambda.InvokeOutput, error) {
	f.called = append(f.called, *in.FunctionName+" "+string(in.InvocationType))
	return &lambda.InvokeOutput{}, f.err
}

func TestSnapshotOfUnknownInterface(t *testing.T) {
	api := &fakeLambda{}
	p := &Parser{Config: Config{SnapshotFunction: "siem-eni-snapshot"}, Lambda: api, eni: eni.NewStore(&blob.Memory{}, "data", time.Minute)}
	if notes := p.snapshot(t.Context(), time.Time{}); notes != nil || api.called != nil {
		t.Errorf("called %q without a flow, notes %q", api.called, notes)
	}
	p.face("eni-1")
	if notes := p.snapshot(t.Context(), time.Time{}); notes != nil || len(api.called) != 1 || api.called[0] != "siem-eni-snapshot Event" {
		t.Errorf("called %q, notes %q", api.called, notes)
	}
	p.face("eni-1")
	api.err = errors.New("no such function")
	if notes := p.snapshot(t.Context(), time.Time{}); len(notes) != 1 {
		t.Errorf("notes %q, want one", notes)
	}
}
