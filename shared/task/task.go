// Package task is the boundary of every Lambda: what goes in is decoded, what panics becomes an error, and an error gets
// the one name that the state machines know it by.
package task

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambda/messages"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"stepsiem/shared/fault"
)

// Handler is a task's work: one small documented type in, one out.
type Handler[In, Out any] func(context.Context, In) (Out, error)

// Margin is how long before Lambda's deadline a task's context ends, so that it can still say why.
const Margin = 3 * time.Second

// Start runs h in the Lambda runtime and does not return.
func Start[In, Out any](h Handler[In, Out]) {
	slog.SetDefault(lambdacontext.NewLogger())
	lambda.StartHandlerFunc(Wrap(h))
}

// Wrap gives h the boundary: input that does not decode is Siem.BadInput, a panic is Siem.Bug, every error leaves as
// messages.InvokeResponse_Error by value, the only form whose name reaches Step Functions.
func Wrap[In, Out any](h Handler[In, Out]) func(context.Context, json.RawMessage) (Out, error) {
	return func(ctx context.Context, raw json.RawMessage) (out Out, err error) {
		defer func() {
			if p := recover(); p != nil {
				slog.ErrorContext(ctx, "panic", "value", fmt.Sprint(p), "stack", string(debug.Stack()))
				err = named(fault.Bug, fmt.Errorf("panic: %v", p))
			}
		}()
		var in In
		if err := json.Unmarshal(raw, &in); err != nil {
			return out, named(fault.BadInput, fmt.Errorf("decode input: %w", err))
		}
		if end, ok := ctx.Deadline(); ok {
			var cancel context.CancelFunc
			ctx, cancel = context.WithDeadline(ctx, end.Add(-Margin))
			defer cancel()
		}
		if out, err = h(ctx, in); err != nil {
			kind := fault.Of(err)
			slog.ErrorContext(ctx, "task failed", "kind", string(kind), "error", err.Error())
			return out, named(kind, err)
		}
		return out, nil
	}
}

// maxMessage keeps causes far below the 256 KiB that an execution's state may hold.
const maxMessage = 4 << 10

func named(kind fault.Kind, err error) error {
	m := err.Error()
	if len(m) > maxMessage {
		m = m[:maxMessage] + "…"
	}
	return messages.InvokeResponse_Error{Type: string(kind), Message: m}
}

// Must ends the process with a readable line when start-up failed: a task without its configuration must not start.
func Must[T any](v T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, "start task:", err)
		os.Exit(1)
	}
	return v
}
