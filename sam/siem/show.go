package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"stepsiem/shared/batch"
)

// shown is all that show says of an execution.
type shown struct {
	*execution
	Cause   string         `json:"cause"`
	Objects []string       `json:"objects"`
	States  []*state       `json:"states"`
	Ledger  *batch.Account `json:"ledger,omitempty"`
}

func cmdShow(ctx context.Context, c *call, args []string) error {
	names, err := c.parse(args, 1, 1)
	if err != nil {
		return err
	}
	e, err := c.open(ctx)
	if err != nil {
		return err
	}
	x, err := e.find(ctx, names[0])
	if err != nil {
		return err
	}
	s := shown{execution: x, Cause: x.cause, Objects: []string{}}
	objects, err := e.objects(ctx, x)
	if err != nil {
		return err
	}
	for i := range objects {
		s.Objects = append(s.Objects, objects[i].Path())
	}
	if s.States, err = e.states(ctx, x); err != nil {
		return err
	}
	if x.Machine == ingestMachine && x.Status == succeeded {
		s.Ledger = new(batch.Account)
		if err := json.Unmarshal([]byte(x.output), s.Ledger); err != nil {
			return fmt.Errorf("decode the output of %s: %w", x.Name, err)
		}
	}
	return c.print(s, s.text)
}

// maxShown bounds the objects that are named.
const maxShown = 20

func (s *shown) text(w io.Writer) {
	printExecutions(w, []*execution{s.execution})
	if s.Cause != "" {
		fmt.Fprintf(w, "cause: %s\n", printable(s.Cause, 2000))
	}
	fmt.Fprintf(w, "\n%d objects\n", len(s.Objects))
	for _, o := range s.Objects[:min(len(s.Objects), maxShown)] {
		fmt.Fprintln(w, " ", printable(o, maxCell))
	}
	if len(s.Objects) > maxShown {
		fmt.Fprintf(w, "  and %d more; --json names all\n", len(s.Objects)-maxShown)
	}
	fmt.Fprintln(w)
	var rows [][]string
	for _, t := range s.States {
		rows = append(rows, []string{t.Name, strconv.Itoa(t.Entered), strconv.Itoa(t.Attempts), strconv.Itoa(t.Failures), fmt.Sprintf("%.1f", t.Seconds), t.Error})
	}
	table(w, []string{"STATE", "ENTERED", "ATTEMPTS", "FAILURES", "SECONDS", "LAST ERROR"}, rows)
	if s.Ledger != nil {
		fmt.Fprintln(w)
		printCounts(w, s.Ledger.Types, s.Ledger.Total)
		for _, f := range s.Ledger.Failed {
			fmt.Fprintf(w, "not read whole: %s: %s\n", printable(f.Object, maxCell), printable(f.Reason, maxCell))
		}
		for _, n := range s.Ledger.Notes {
			fmt.Fprintf(w, "note: %s\n", printable(n, 2*maxCell))
		}
	}
	if s.ended() && s.Status != succeeded {
		fmt.Fprintf(w, "\nafter the fix: siem rerun %s\n", s.Name)
	}
}

// state sums up the visits to one state.
type state struct {
	Name     string  `json:"name"`
	Entered  int     `json:"entered"`
	Exited   int     `json:"exited"`
	Attempts int     `json:"attempts"` // of its task
	Failures int     `json:"failures"`
	Seconds  float64 `json:"seconds"` // of all visits that ended
	Error    string  `json:"error,omitempty"`
}

// states reads an execution's history.
func (e *environment) states(ctx context.Context, x *execution) ([]*state, error) {
	var events []types.HistoryEvent
	pages := sfn.NewGetExecutionHistoryPaginator(e.sfn, &sfn.GetExecutionHistoryInput{ExecutionArn: &x.arn, IncludeExecutionData: aws.Bool(false), MaxResults: 1000})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("read the history of %s: %w", x.Name, err)
		}
		events = append(events, page.Events...)
	}
	return byState(events), nil
}

// byState sums up a history by state, in order of first entry. Events name the one they follow from, which leads back to
// the entry of the state they belong to.
func byState(events []types.HistoryEvent) []*state {
	list := []*state{}
	named := map[string]*state{}
	byID := map[int64]*types.HistoryEvent{}
	entry := func(ev *types.HistoryEvent, name string) *types.HistoryEvent {
		for ev != nil {
			if d := ev.StateEnteredEventDetails; d != nil && (name == "" || aws.ToString(d.Name) == name) {
				break
			}
			ev = byID[ev.PreviousEventId]
		}
		return ev
	}
	for i := range events {
		ev := &events[i]
		byID[ev.Id] = ev
		if d := ev.StateEnteredEventDetails; d != nil {
			name := aws.ToString(d.Name)
			if named[name] == nil {
				named[name] = &state{Name: name}
				list = append(list, named[name])
			}
			named[name].Entered++
			continue
		}
		if d := ev.StateExitedEventDetails; d != nil {
			if s, in := named[aws.ToString(d.Name)], entry(ev, aws.ToString(d.Name)); in != nil {
				s.Exited++
				s.Seconds += aws.ToTime(ev.Timestamp).Sub(aws.ToTime(in.Timestamp)).Seconds()
			}
			continue
		}
		in := entry(ev, "")
		if in == nil {
			continue
		}
		s := named[aws.ToString(in.StateEnteredEventDetails.Name)]
		switch ev.Type {
		case types.HistoryEventTypeTaskScheduled, types.HistoryEventTypeLambdaFunctionScheduled:
			s.Attempts++
		case types.HistoryEventTypeTaskFailed, types.HistoryEventTypeTaskTimedOut, types.HistoryEventTypeTaskStartFailed, types.HistoryEventTypeTaskSubmitFailed:
			s.Failures++
			s.Error = taskError(ev)
		}
	}
	return list
}

func taskError(ev *types.HistoryEvent) string {
	switch {
	case ev.TaskFailedEventDetails != nil:
		return aws.ToString(ev.TaskFailedEventDetails.Error)
	case ev.TaskTimedOutEventDetails != nil:
		return cmp.Or(aws.ToString(ev.TaskTimedOutEventDetails.Error), "States.Timeout")
	}
	return string(ev.Type)
}
