package statemachines

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"

	"stepsiem/shared/fault"
)

// machine is what the rules look at; a Map's processor and a Parallel's branch are machines within.
type machine struct {
	StartAt string
	States  map[string]*state
}

type state struct {
	Type, Resource, Next, Default string
	End                           bool
	TimeoutSeconds                int
	Parameters                    map[string]any
	Choices                       []struct{ Next string }
	Retry                         []retrier
	Catch                         []catcher
	Branches                      []*machine
	ItemProcessor                 *machine
}

type retrier struct {
	ErrorEquals                  []string
	IntervalSeconds, MaxAttempts *float64
	BackoffRate, MaxDelaySeconds *float64
	JitterStrategy               string
}

type catcher struct {
	ErrorEquals []string
	Next        string
}

func decode(t *testing.T, text string) *machine {
	t.Helper()
	var m machine
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatal(err)
	}
	return &m
}

// scopes lists m and the machines within.
func (m *machine) scopes() []*machine {
	list := []*machine{m}
	for _, name := range slices.Sorted(maps.Keys(m.States)) {
		s := m.States[name]
		for _, b := range s.Branches {
			list = append(list, b.scopes()...)
		}
		if s.ItemProcessor != nil {
			list = append(list, s.ItemProcessor.scopes()...)
		}
	}
	return list
}

// all lists the states of m and within, by name; names are unique in a machine.
func (m *machine) all() map[string]*state {
	all := map[string]*state{}
	for _, scope := range m.scopes() {
		maps.Copy(all, scope.States)
	}
	return all
}

func (s *state) successors() []string {
	next := []string{s.Next, s.Default}
	for _, c := range s.Choices {
		next = append(next, c.Next)
	}
	for _, c := range s.Catch {
		next = append(next, c.Next)
	}
	return slices.DeleteFunc(next, func(n string) bool { return n == "" })
}

// problems are all breaches of the house's rules for machines.
func (m *machine) problems() (list []string) {
	for _, scope := range m.scopes() {
		list = append(list, scope.graph()...)
	}
	seen := map[string]bool{}
	for _, scope := range m.scopes() {
		for name := range scope.States {
			if seen[name] {
				list = append(list, name+": a second state of that name")
			}
			seen[name] = true
		}
	}
	for name, s := range m.all() {
		for _, p := range slices.Concat(s.timeout(), s.errors(), s.patience(), s.function(name)) {
			list = append(list, name+": "+p)
		}
	}
	slices.Sort(list)
	return list
}

// graph: StartAt and every Next exist, every state is reached, and what starts ends.
func (m *machine) graph() (list []string) {
	if m.States[m.StartAt] == nil {
		return []string{fmt.Sprintf("StartAt %q does not exist", m.StartAt)}
	}
	reached := map[string]bool{m.StartAt: true}
	ends := false
	for queue := []string{m.StartAt}; len(queue) > 0; queue = queue[1:] {
		s := m.States[queue[0]]
		terminal := s.End || s.Type == "Succeed" || s.Type == "Fail"
		ends = ends || terminal
		if terminal == (s.Next != "") && s.Type != "Choice" {
			list = append(list, queue[0]+": needs either Next or End")
		}
		for _, n := range s.successors() {
			switch {
			case m.States[n] == nil:
				list = append(list, fmt.Sprintf("%s: %q, which is next, does not exist", queue[0], n))
			case !reached[n]:
				reached[n] = true
				queue = append(queue, n)
			}
		}
	}
	for name := range m.States {
		if !reached[name] {
			list = append(list, name+": is never reached")
		}
	}
	if !ends {
		list = append(list, m.StartAt+": what starts here never ends")
	}
	return list
}

func (s *state) timeout() []string {
	if s.Type == "Task" && s.TimeoutSeconds <= 0 {
		return []string{"no TimeoutSeconds"}
	}
	return nil
}

// foreign are the error names that are not ours and may be retried, with the most attempts for those that may be our fault.
var foreign = map[string]float64{
	"Lambda.TooManyRequestsException": math.Inf(1), "Lambda.ServiceException": math.Inf(1), "Lambda.AWSLambdaException": math.Inf(1),
	"Lambda.SdkClientException": math.Inf(1), "Lambda.ClientExecutionTimeoutException": math.Inf(1),
	"StepFunctions.ExecutionLimitExceeded": math.Inf(1), "StepFunctions.SdkClientException": math.Inf(1),
	"Lambda.Unknown": 3, "States.Timeout": 3, "Sandbox.Timedout": 2, "Runtime.ExitError": 2,
}

var (
	retried = []fault.Kind{fault.Throttled, fault.Unavailable, fault.Conflict, fault.Partial}
	caught  = []fault.Kind{fault.BadInput, fault.NotFound}
)

// errors: Retry and Catch name what the table in CONTRIBUTING.md lets them name, and nothing twice, as the first match hides
// the second.
func (s *state) errors() (list []string) {
	seen := map[string]bool{}
	once := func(name string) {
		if seen[name] {
			list = append(list, name+" is named twice")
		}
		seen[name] = true
	}
	for _, r := range s.Retry {
		for _, name := range r.ErrorEquals {
			once(name)
			most, known := foreign[name]
			switch {
			case !known && !slices.Contains(retried, fault.Kind(name)):
				list = append(list, name+" must not be retried")
			case known && r.attempts() > most:
				list = append(list, fmt.Sprintf("%s is retried %g times", name, r.attempts()))
			}
		}
	}
	for _, c := range s.Catch {
		for _, name := range c.ErrorEquals {
			once(name)
			if !slices.Contains(caught, fault.Kind(name)) {
				list = append(list, name+" must not be caught")
			}
		}
	}
	return list
}

// The defaults are Step Functions' own.
func or(v *float64, def float64) float64 {
	if v == nil {
		return def
	}
	return *v
}

func (r *retrier) attempts() float64 { return or(r.MaxAttempts, 3) }

// seconds is how long the retries wait in all, at worst: full jitter may be no wait.
func (r *retrier) seconds() (sum float64) {
	if r.JitterStrategy == "FULL" {
		return 0
	}
	wait := or(r.IntervalSeconds, 1)
	for range int(r.attempts()) {
		sum += min(wait, or(r.MaxDelaySeconds, math.Inf(1)))
		wait *= or(r.BackoffRate, 2)
	}
	return sum
}

const invoke = "arn:aws:states:::lambda:invoke"

// patience: a Lambda's outage is waited out for half an hour, and all that can pass is tried again.
func (s *state) patience() (list []string) {
	if s.Resource != invoke {
		return nil
	}
	named := map[string]*retrier{}
	for i := range s.Retry {
		for _, name := range s.Retry[i].ErrorEquals {
			named[name] = &s.Retry[i]
		}
	}
	for _, k := range retried {
		if named[string(k)] == nil {
			list = append(list, string(k)+" is not retried")
		}
	}
	if r := named[string(fault.Unavailable)]; r != nil && r.seconds() < 30*60 {
		list = append(list, fmt.Sprintf("Siem.Unavailable is retried for %.0f s", r.seconds()))
	}
	for name := range foreign {
		if !strings.HasPrefix(name, "StepFunctions.") && named[name] == nil {
			list = append(list, name+" is not retried")
		}
	}
	return list
}

var functionArn = regexp.MustCompile(`^\$\{(\w+)FunctionArn\}$`)

// function: the state GeoEnrich invokes ${GeoEnrichFunctionArn}; a second state of one function adds a word.
func (s *state) function(name string) []string {
	if s.Resource != invoke {
		return nil
	}
	arn, _ := s.Parameters["FunctionName"].(string)
	m := functionArn.FindStringSubmatch(arn)
	if m == nil || !strings.HasPrefix(name, m[1]) {
		return []string{fmt.Sprintf("invokes %q", arn)}
	}
	return nil
}

func text(t *testing.T, name string) string {
	t.Helper()
	raw, err := files.ReadFile(name + suffix)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestMachines(t *testing.T) {
	for _, name := range Names() {
		for _, p := range decode(t, text(t, name)).problems() {
			t.Errorf("%s: %s", name, p)
		}
	}
}

// TestMachineRules breaks the ingest machine at one place after the other and wants to be told.
func TestMachineRules(t *testing.T) {
	ingest := text(t, "ingest")
	for _, c := range []struct{ old, new, want string }{
		{`"StartAt": "Plan"`, `"StartAt": "Plam"`, `StartAt "Plam" does not exist`},
		{`"Next": "Size"`, `"Next": "Sice"`, `Plan: "Sice", which is next, does not exist`},
		{`"Next": "Size"`, `"End": true`, `Groups: is never reached`},
		{`"Default": "Groups"`, `"Default": "Parts"`, `Groups: is never reached`},
		{`"Next": "QuarantineChunk"`, `"Next": "Index"`, `QuarantineChunk: is never reached`},
		{`"Next": "Chunks"`, `"Comment": "x"`, `Parse: needs either Next or End`},
		{`"Next": "Size"`, `"Next": "Size", "End": true`, `Plan: needs either Next or End`},
		{`"Plan": {`, `"Loop": {"Type": "Pass", "Next": "Loop"}, "Plan": {`, `Loop: is never reached`},
		{`"StartAt": "Enrich"`, `"StartAt": "Loop"`, `StartAt "Loop" does not exist`},
		{`"QuarantineGroup": {`, `"Index": {"Type": "Succeed"}, "QuarantineGroup": {`, `Index: a second state of that name`},
		{`"TimeoutSeconds": 900,`, ``, `Parse: no TimeoutSeconds`},
		{`"Siem.BadInput", "Siem.NotFound"`, `"Siem.Denied"`, `Parse: Siem.Denied must not be caught`},
		{`"Siem.BadInput", "Siem.NotFound"`, `"Siem.Bug"`, `Parse: Siem.Bug must not be caught`},
		{`"Siem.BadInput", "Siem.NotFound"`, `"States.ALL"`, `Parse: States.ALL must not be caught`},
		{`"Siem.BadInput", "Siem.NotFound"`, `"Siem.Unavailable"`, `Parse: Siem.Unavailable is named twice`},
		{`"Siem.Conflict"`, `"Siem.Conflict", "Siem.Bug"`, `Plan: Siem.Bug must not be retried`},
		{`"Siem.Conflict"`, `"Siem.Conflict", "Siem.Denied"`, `Plan: Siem.Denied must not be retried`},
		{`"Siem.Conflict"`, `"Siem.Conflict", "Siem.Outage"`, `Plan: Siem.Outage must not be retried`},
		{`"Siem.Conflict"`, `"Siem.Conflict", "Siem.BadInput"`, `Plan: Siem.BadInput must not be retried`},
		{`"Siem.Conflict"`, `"States.TaskFailed"`, `Plan: States.TaskFailed must not be retried`},
		{`"Siem.Conflict"`, `"States.ALL"`, `Plan: States.ALL must not be retried`},
		{`"Siem.Conflict"`, `"Siem.Conflikt"`, `Plan: Siem.Conflict is not retried`},
		{`"Siem.Throttled", "Lambda.TooManyRequestsException"`, `"Siem.Throttled"`, `Plan: Lambda.TooManyRequestsException is not retried`},
		{`"MaxAttempts": 50`, `"MaxAttempts": 20`, `Plan: Siem.Unavailable is retried for 1326 s`},
		{`"MaxDelaySeconds": 90`, `"MaxDelaySeconds": 90, "JitterStrategy": "FULL"`, `Plan: Siem.Unavailable is retried for 0 s`},
		{`"IntervalSeconds": 10, "MaxAttempts": 2`, `"IntervalSeconds": 10, "MaxAttempts": 9`, `Plan: Runtime.ExitError is retried 9 times`},
		{`"${GeoEnrichFunctionArn}"`, `"${ThreatMatchFunctionArn}"`, `GeoEnrich: invokes "${ThreatMatchFunctionArn}"`},
		{`"${GeoEnrichFunctionArn}"`, `"arn:aws:lambda:us-east-1:1:function:x"`, `GeoEnrich: invokes "arn:aws:lambda:us-east-1:1:function:x"`},
	} {
		broken := strings.Replace(ingest, c.old, c.new, 1)
		if broken == ingest {
			t.Errorf("the machine has no %s", c.old)
			continue
		}
		if list := decode(t, broken).problems(); !slices.Contains(list, c.want) {
			t.Errorf("%s for %s: told %q, want %s", c.new, c.old, list, c.want)
		}
	}
}

func TestDefinition(t *testing.T) {
	if !slices.Contains(Names(), "ingest") {
		t.Fatal(Names())
	}
	names, err := Placeholders("ingest")
	if err != nil || len(slices.Compact(slices.Sorted(slices.Values(names)))) != len(names) {
		t.Fatal(names, err)
	}
	values := map[string]string{}
	for _, n := range names {
		values[n] = "arn:" + n
	}
	got, err := Definition("ingest", values)
	if err != nil || strings.Contains(got, "${") || !json.Valid([]byte(got)) || !strings.Contains(got, `"arn:PlanFunctionArn"`) {
		t.Error(err)
	}
	delete(values, "PlanFunctionArn")
	if _, err := Definition("ingest", values); err == nil || !strings.Contains(err.Error(), "no value for ${PlanFunctionArn}") {
		t.Error(err)
	}
	if _, err := Definition("none", nil); err == nil {
		t.Error("a machine that does not exist is defined")
	}
}
