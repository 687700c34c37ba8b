package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"stepsiem/shared/batch"
	"stepsiem/shared/blob"
	"stepsiem/shared/fault"
)

type machine interface {
	StartExecution(context.Context, *sfn.StartExecutionInput, ...func(*sfn.Options)) (*sfn.StartExecutionOutput, error)
	DescribeExecution(context.Context, *sfn.DescribeExecutionInput, ...func(*sfn.Options)) (*sfn.DescribeExecutionOutput, error)
	RedriveExecution(context.Context, *sfn.RedriveExecutionInput, ...func(*sfn.Options)) (*sfn.RedriveExecutionOutput, error)
}

type putter interface {
	Put(ctx context.Context, bucket, key string, body []byte, meta map[string]string) (blob.Info, error)
}

const (
	maxInput = 200 << 10 // bytes of an execution's input; AWS allows 256 KiB
	maxRuns  = 20        // executions of one batch
)

// start sees to it that an execution of the batch of objects is running or has succeeded.
func (s *Starter) start(ctx context.Context, objects []batch.Object) error {
	id, objects := batch.ID(objects)
	name := batch.Name(id, objects, "")
	input, err := s.input(ctx, name, objects)
	if err != nil {
		return err
	}
	for run := 1; run <= maxRuns; run++ {
		if run > 1 {
			name = batch.Name(id, objects, fmt.Sprintf("rerun%d", run))
		}
		_, err := s.Machine.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: &s.Config.Machine, Name: &name, Input: &input})
		var taken *types.ExecutionAlreadyExists
		if !errors.As(err, &taken) {
			if err != nil {
				return fmt.Errorf("start execution %s: %w", name, err)
			}
			slog.InfoContext(ctx, "batch started", "execution", name, "objects", len(objects))
			return nil
		}
		if done, err := s.revive(ctx, name); done || err != nil {
			return err
		}
	}
	return fmt.Errorf("start execution: batch %s has failed %d times", id, maxRuns)
}

// input is the execution's; one that is too large lies in the work bucket.
func (s *Starter) input(ctx context.Context, name string, objects []batch.Object) (string, error) {
	raw, err := json.Marshal(batch.Request{Objects: objects})
	if err != nil {
		return "", fmt.Errorf("encode request: %w", err)
	}
	if len(raw) <= maxInput {
		return string(raw), nil
	}
	at := batch.Pointer{Bucket: s.WorkBucket, Key: "requests/" + name + ".json"}
	if _, err := s.Store.Put(ctx, at.Bucket, at.Key, raw, nil); err != nil {
		return "", err
	}
	raw, err = json.Marshal(batch.Request{Input: &at})
	return string(raw), err
}

// revive looks at the execution that has the name already, which stays taken for 90 days whatever became of it, and
// redrives it where that helps. It isn't done when the batch needs another execution.
func (s *Starter) revive(ctx context.Context, name string) (done bool, err error) {
	arn := strings.Replace(s.Config.Machine, ":stateMachine:", ":execution:", 1) + ":" + name
	e, err := s.Machine.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: &arn})
	if err != nil {
		return false, fmt.Errorf("describe execution %s: %w", name, err)
	}
	switch e.Status {
	case types.ExecutionStatusRunning, types.ExecutionStatusPendingRedrive, types.ExecutionStatusSucceeded:
		slog.InfoContext(ctx, "batch known", "execution", name, "status", string(e.Status))
		return true, nil
	}
	if e.RedriveStatus != types.ExecutionRedriveStatusRedrivable || aws.ToString(e.Error) == string(fault.Bug) {
		return false, nil // after a bug its earlier states' work may be wrong
	}
	_, err = s.Machine.RedriveExecution(ctx, &sfn.RedriveExecutionInput{ExecutionArn: &arn})
	var refused *types.ExecutionNotRedrivable
	if errors.As(err, &refused) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("redrive execution %s: %w", name, err)
	}
	slog.InfoContext(ctx, "batch redriven", "execution", name)
	return true, nil
}
