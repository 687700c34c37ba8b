package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"stepsiem/shared/batch"
	"stepsiem/shared/fault"
)

// Statuses of an execution that decide something.
const (
	running   = string(types.ExecutionStatusRunning)
	succeeded = string(types.ExecutionStatusSucceeded)
)

// execution is one execution of a state machine.
type execution struct {
	Name    string    `json:"name"`
	Machine string    `json:"machine"`
	Status  string    `json:"status"`
	Started time.Time `json:"started"`
	Seconds float64   `json:"seconds"` // until its end, or until now
	Error   string    `json:"error"`

	arn, cause, input, output string
}

func (x *execution) ended() bool {
	return x.Status != running && x.Status != string(types.ExecutionStatusPendingRedrive)
}

func (x *execution) lasted(started, stopped *time.Time) {
	x.Started = aws.ToTime(started).UTC()
	end := time.Now()
	if stopped != nil {
		end = *stopped
	}
	x.Seconds = end.Sub(x.Started).Round(time.Millisecond).Seconds()
}

// list gives the executions of a machine started since then, the newest first. status may be "".
func (e *environment) list(ctx context.Context, machine, status string, since time.Time) (list []*execution, err error) {
	in := &sfn.ListExecutionsInput{StateMachineArn: aws.String(e.Machines[machine]), StatusFilter: types.ExecutionStatus(status)}
	pages := sfn.NewListExecutionsPaginator(e.sfn, in)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list executions of %s: %w", machine, err)
		}
		old := len(page.Executions) > 0
		for _, i := range page.Executions {
			if aws.ToTime(i.StartDate).Before(since) {
				continue
			}
			old = false
			x := &execution{Name: aws.ToString(i.Name), Machine: machine, Status: string(i.Status), arn: aws.ToString(i.ExecutionArn)}
			x.lasted(i.StartDate, i.StopDate)
			list = append(list, x)
		}
		if old { // the newest come first
			break
		}
	}
	slices.SortStableFunc(list, func(a, b *execution) int { return b.Started.Compare(a.Started) })
	return list, nil
}

// describe brings x up to date by its ARN.
func (e *environment) describe(ctx context.Context, x *execution) error {
	out, err := e.sfn.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: &x.arn})
	if err != nil {
		return fmt.Errorf("describe execution %s: %w", x.Name, err)
	}
	x.Status, x.Error, x.cause = string(out.Status), aws.ToString(out.Error), aws.ToString(out.Cause)
	x.input, x.output = aws.ToString(out.Input), aws.ToString(out.Output)
	x.lasted(out.StartDate, out.StopDate)
	return nil
}

// find describes the execution of that name in whatever machine has it.
func (e *environment) find(ctx context.Context, name string) (*execution, error) {
	name = name[strings.LastIndexByte(name, ':')+1:] // of an ARN
	for _, machine := range slices.Sorted(maps.Keys(e.Machines)) {
		arn := strings.Replace(e.Machines[machine], ":stateMachine:", ":execution:", 1) + ":" + name
		x := &execution{Name: name, Machine: machine, arn: arn}
		err := e.describe(ctx, x)
		var missing *types.ExecutionDoesNotExist
		if errors.As(err, &missing) {
			continue
		}
		return x, err
	}
	return nil, fmt.Errorf("there is no execution %q: siem executions lists them", name)
}

// objects are what an ingest execution's input names, also when the input lies in S3; none when it is something else.
func (e *environment) objects(ctx context.Context, x *execution) ([]batch.Object, error) {
	var req batch.Request
	if json.Unmarshal([]byte(x.input), &req) != nil {
		return nil, nil // typed by hand: not ours
	}
	if req.Input == nil {
		return req.Objects, nil
	}
	body, _, err := e.store.Get(ctx, req.Input.Bucket, req.Input.Key, "")
	if fault.Of(err) == fault.NotFound {
		return nil, nil // an old one: work objects expire
	}
	if err != nil {
		return nil, fmt.Errorf("read the input of %s: %w", x.Name, err)
	}
	defer body.Close()
	req = batch.Request{}
	if err := json.NewDecoder(body).Decode(&req); err != nil {
		return nil, fmt.Errorf("decode the input of %s: %w", x.Name, err)
	}
	return req.Objects, nil
}

func cmdExecutions(ctx context.Context, c *call, args []string) error {
	machine := c.flags.String("machine", "", "of this `MACHINE` only")
	status := c.flags.String("status", "", "of this `STATUS` only: RUNNING, SUCCEEDED, FAILED, TIMED_OUT, ABORTED")
	since := sinceFlag(c, "24h")
	if _, err := c.parse(args, 0, 0); err != nil {
		return err
	}
	*status = strings.ToUpper(*status)
	if *status != "" && !slices.Contains(types.ExecutionStatus("").Values(), types.ExecutionStatus(*status)) {
		return usagef("--status %q is no status", *status)
	}
	e, err := c.open(ctx)
	if err != nil {
		return err
	}
	list, err := e.recent(ctx, *machine, *status, since.time())
	if err != nil {
		return err
	}
	return c.print(map[string]any{"executions": list}, func(w io.Writer) { printExecutions(w, list) })
}

// recent lists the executions of a machine, or of all, with the errors of those that failed.
func (e *environment) recent(ctx context.Context, machine, status string, since time.Time) ([]*execution, error) {
	machines := slices.Sorted(maps.Keys(e.Machines))
	if machine != "" {
		if e.Machines[machine] == "" {
			return nil, fmt.Errorf("there is no machine %q, only %s", machine, strings.Join(machines, ", "))
		}
		machines = []string{machine}
	}
	all := []*execution{}
	for _, m := range machines {
		list, err := e.list(ctx, m, status, since)
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	for _, x := range all {
		if x.ended() && x.Status != succeeded {
			if err := e.describe(ctx, x); err != nil {
				return nil, err
			}
		}
	}
	slices.SortStableFunc(all, func(a, b *execution) int { return b.Started.Compare(a.Started) })
	return all, nil
}

func printExecutions(w io.Writer, list []*execution) {
	var rows [][]string
	for _, x := range list {
		rows = append(rows, []string{x.Name, x.Machine, x.Status, x.Started.Format(time.DateTime), fmt.Sprintf("%.1f", x.Seconds), x.Error})
	}
	table(w, []string{"EXECUTION", "MACHINE", "STATUS", "STARTED (UTC)", "SECONDS", "ERROR"}, rows)
}

// span is a duration flag that also knows days.
type span time.Duration

func sinceFlag(c *call, preset string) *span {
	s := new(span)
	if err := s.Set(preset); err != nil {
		panic(err) // the preset is ours
	}
	c.flags.Var(s, "since", "started within this `TIME`, as 90m, 24h or 7d")
	return s
}

func (s *span) time() time.Time { return time.Now().Add(-time.Duration(*s)) }

func (s *span) String() string { return time.Duration(*s).String() }

// Set implements flag.Value.
func (s *span) Set(text string) error {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		*s = span(time.Duration(n) * 24 * time.Hour)
		return err
	}
	d, err := time.ParseDuration(text)
	*s = span(d)
	return err
}
