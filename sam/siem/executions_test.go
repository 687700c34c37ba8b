package main

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"stepsiem/shared/batch"
)

func TestRepeatName(t *testing.T) {
	long := strings.Repeat("x", 80)
	for _, c := range []struct {
		name, suffix string
		n            int
		want         string
	}{
		{"cloudtrail-20260131T120000Z-0123456789abcdef", "rerun", 1, "cloudtrail-20260131T120000Z-0123456789abcdef-rerun1"},
		{"a-rerun1", "rerun", 2, "a-rerun2"},
		{"a-replay12", "rerun", 1, "a-rerun1"},
		{"a-rerunning", "replay", 1, "a-rerunning-replay1"},
		{long, "rerun", 10, long[:72] + "-rerun10"},
	} {
		if got := repeatName(c.name, c.suffix, c.n); got != c.want || len(got) > maxName {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestBatchOf(t *testing.T) {
	id, objects := batch.ID([]batch.Object{{Bucket: "b", Key: "authlog/x", Version: "1", Time: time.Unix(1e9, 0)}})
	for name, want := range map[string]string{
		batch.Name(id, objects, ""):              id,
		batch.Name(id, objects, "rerun2"):        id,
		"2f0c7a60-0000-4000-8000-000000000000":   "",
		"typed-by-somebody-in-the-console-today": "",
	} {
		if got := batchOf(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestUnmended(t *testing.T) {
	list := unmended([]*execution{ // the newest first
		{Name: "a-rerun1", Status: "SUCCEEDED"}, {Name: "b", Status: "TIMED_OUT"}, {Name: "c-rerun1", Status: "FAILED"},
		{Name: "d-rerun1", Status: "RUNNING"}, {Name: "d", Status: "FAILED"}, {Name: "a", Status: "FAILED"}, {Name: "c", Status: "FAILED"},
		{Name: "a", Machine: "other", Status: "ABORTED"},
	})
	var names []string
	for _, x := range list {
		names = append(names, x.Machine+x.Name)
	}
	if got := strings.Join(names, " "); got != "b c-rerun1 othera" {
		t.Errorf("got %s", got)
	}
}

// TestByState follows a history with a map of two iterations side by side, of which one fails once and one for good.
func TestByState(t *testing.T) {
	at := func(id int64) *time.Time { return aws.Time(time.Unix(1e9+id, 0)) }
	enter := func(id, previous int64, name string) types.HistoryEvent {
		return types.HistoryEvent{Id: id, PreviousEventId: previous, Timestamp: at(id), Type: types.HistoryEventTypeTaskStateEntered,
			StateEnteredEventDetails: &types.StateEnteredEventDetails{Name: &name}}
	}
	exit := func(id, previous int64, name string) types.HistoryEvent {
		return types.HistoryEvent{Id: id, PreviousEventId: previous, Timestamp: at(id), Type: types.HistoryEventTypeTaskStateExited,
			StateExitedEventDetails: &types.StateExitedEventDetails{Name: &name}}
	}
	event := func(id, previous int64, typ types.HistoryEventType) types.HistoryEvent {
		return types.HistoryEvent{Id: id, PreviousEventId: previous, Timestamp: at(id), Type: typ}
	}
	failed := func(id, previous int64, name string) types.HistoryEvent {
		ev := event(id, previous, types.HistoryEventTypeTaskFailed)
		ev.TaskFailedEventDetails = &types.TaskFailedEventDetails{Error: &name}
		return ev
	}
	list := byState([]types.HistoryEvent{
		event(1, 0, types.HistoryEventTypeExecutionStarted),
		enter(2, 0, "Groups"),
		event(3, 2, types.HistoryEventTypeMapStateStarted),
		event(4, 3, types.HistoryEventTypeMapIterationStarted),
		event(5, 3, types.HistoryEventTypeMapIterationStarted),
		enter(6, 4, "Parse"),
		enter(7, 5, "Parse"),
		event(8, 6, types.HistoryEventTypeTaskScheduled),
		event(9, 7, types.HistoryEventTypeTaskScheduled),
		failed(10, 8, "Siem.Throttled"),
		event(11, 10, types.HistoryEventTypeTaskScheduled),
		failed(12, 9, "Siem.Denied"),
		exit(13, 11, "Parse"),
		exit(14, 13, "Groups"),
	})
	if len(list) != 2 {
		t.Fatalf("%d states", len(list))
	}
	if want := (state{Name: "Groups", Entered: 1, Exited: 1, Seconds: 12}); *list[0] != want {
		t.Errorf("got %+v", *list[0])
	}
	if want := (state{Name: "Parse", Entered: 2, Exited: 1, Attempts: 3, Failures: 2, Seconds: 7, Error: "Siem.Denied"}); *list[1] != want {
		t.Errorf("got %+v", *list[1])
	}
}
