package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/aws/smithy-go"

	"stepsiem/shared/fault"
)

func cmdRerun(ctx context.Context, c *call, args []string) error {
	failed := c.flags.Bool("failed", false, "all that failed and no later run made good")
	machine := c.flags.String("machine", "", "with --failed: of this `MACHINE` only")
	since := sinceFlag(c, "24h")
	plan := c.flags.Bool("dry-run", false, "only say what would be run")
	anew := c.flags.Bool("restart", false, "a new execution even where the old one can go on")
	names, err := c.parse(args, 0, -1)
	if err != nil {
		return err
	}
	if *failed == (len(names) > 0) {
		return usagef("expects names of executions, or --failed")
	}
	e, err := c.open(ctx)
	if err != nil {
		return err
	}
	var list []*execution
	if *failed {
		all, err := e.recent(ctx, *machine, "", since.time())
		if err != nil {
			return err
		}
		list = unmended(all)
	}
	for _, name := range names {
		x, err := e.find(ctx, name)
		if err != nil {
			return err
		}
		if !x.ended() {
			return fmt.Errorf("%s still runs: siem show %s", x.Name, x.Name)
		}
		list = append(list, x)
	}
	if *plan {
		return c.print(map[string]any{"executions": list}, func(w io.Writer) { printExecutions(w, list) })
	}
	return c.rerun(ctx, e, list, *anew)
}

// unmended are the failed executions that no run of the same name succeeded after; all is sorted, the newest first.
func unmended(all []*execution) (list []*execution) {
	newest := map[string]bool{}
	for _, x := range all {
		key := x.Machine + " " + baseName(x.Name)
		if !newest[key] && x.ended() && x.Status != succeeded {
			list = append(list, x)
		}
		newest[key] = true
	}
	return list
}

// repeat is an execution that ran once more, and how.
type repeat struct {
	*execution
	How string `json:"how"` // redrive or restart
	Of  string `json:"of"`
}

func (c *call) rerun(ctx context.Context, e *environment, list []*execution, anew bool) error {
	repeats, again := []repeat{}, []*execution{}
	for _, x := range list {
		r := repeat{execution: x, How: "redrive", Of: x.Name}
		redriven := false
		if !anew && x.Status != succeeded && x.Error != string(fault.Bug) { // after a bug, what earlier states left is in doubt
			var err error
			if redriven, err = e.redrive(ctx, x); err != nil {
				return err
			}
		}
		if !redriven {
			var err error
			r.How = "restart"
			if r.execution, err = e.start(ctx, x.Machine, x.Name, "rerun", x.input); err != nil {
				return err
			}
		}
		repeats, again = append(repeats, r), append(again, r.execution)
	}
	bar := newProgress(c.err)
	defer bar.end()
	if err := e.await(ctx, again, bar); err != nil {
		return err
	}
	if err := e.refreshIndices(ctx); err != nil {
		c.note("new documents may show up in searches late: %s", err)
	}
	failed := 0
	for _, r := range repeats {
		if r.Status != succeeded {
			failed++
		}
	}
	err := c.print(map[string]any{"rerun": repeats}, func(w io.Writer) {
		var rows [][]string
		for _, r := range repeats {
			rows = append(rows, []string{r.Name, r.Status, r.How, fmt.Sprintf("%.1f", r.Seconds), r.Error})
		}
		table(w, []string{"EXECUTION", "STATUS", "HOW", "SECONDS", "ERROR"}, rows)
	})
	if failed > 0 {
		err = errors.Join(err, fmt.Errorf("%d of %d failed again: siem show NAME says why", failed, len(repeats)))
	}
	return err
}

// redrive lets a failed execution go on at the states that failed; false where that is not possible: too old, or the
// local engine, which can't.
func (e *environment) redrive(ctx context.Context, x *execution) (bool, error) {
	_, err := e.sfn.RedriveExecution(ctx, &sfn.RedriveExecutionInput{ExecutionArn: &x.arn})
	if err == nil {
		x.Status = running
		return true, nil
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		switch api.ErrorCode() {
		case "ExecutionNotRedrivable", "InternalFailure", "InternalError", "NotImplemented", "UnknownOperationException":
			return false, nil
		}
	}
	return false, fmt.Errorf("redrive %s: %w", x.Name, err)
}

// repeatSuffix is what a repeated run adds to a name.
var repeatSuffix = regexp.MustCompile(`-(rerun|replay)\d+$`)

func baseName(name string) string { return repeatSuffix.ReplaceAllString(name, "") }

const maxName = 80 // characters of an execution's name

// repeatName is the name of the nth repeat of an execution; suffix is rerun or replay.
func repeatName(name, suffix string, n int) string {
	suffix = fmt.Sprintf("-%s%d", suffix, n)
	name = baseName(name)
	return name[:min(len(name), maxName-len(suffix))] + suffix
}

// start starts an execution under the first name that is free.
func (e *environment) start(ctx context.Context, machine, name, suffix, input string) (*execution, error) {
	for n := 1; ; n++ {
		x := &execution{Name: repeatName(name, suffix, n), Machine: machine, Status: running}
		out, err := e.sfn.StartExecution(ctx, &sfn.StartExecutionInput{StateMachineArn: aws.String(e.Machines[machine]), Name: &x.Name, Input: &input})
		var taken *types.ExecutionAlreadyExists
		if errors.As(err, &taken) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("start %s: %w", x.Name, err)
		}
		x.arn = aws.ToString(out.ExecutionArn)
		return x, nil
	}
}
