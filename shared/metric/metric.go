// Package metric writes CloudWatch metrics as log lines, which Lambda's log group turns into metrics.
//
// A task that is retried may count twice: metrics are for alarms and dashboards, the ledger is the truth.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
package metric

import (
	"encoding/json"
	"io"
	"time"
)

// Namespace and Dimension are where the metrics are found; the dimension's value is the stack's name.
const (
	Namespace = "stepsiem"
	Dimension = "Stack"
)

// Name is a metric's; all are counts.
type Name string

// The whole list; the template's alarms and dashboard name no other.
const (
	Objects            Name = "Objects"            // accounted for by finished batches
	RecordsRead        Name = "RecordsRead"        // the sum of the next four
	RecordsIndexed     Name = "RecordsIndexed"     // new documents
	RecordsDuplicate   Name = "RecordsDuplicate"   // were there already
	RecordsQuarantined Name = "RecordsQuarantined" // set aside
	RecordsFiltered    Name = "RecordsFiltered"    // not wanted, by parameter
	LedgerUnbalanced   Name = "LedgerUnbalanced"   // batches whose ledger does not add up
)

// All lists every name.
func All() []Name {
	return []Name{Objects, RecordsRead, RecordsIndexed, RecordsDuplicate, RecordsQuarantined, RecordsFiltered, LedgerUnbalanced}
}

// Writer writes the metrics of one stack. Its zero value writes nothing.
type Writer struct {
	Out   io.Writer
	Stack string
	Now   func() time.Time
}

// Put writes the counts of one invocation as one line. Like a log line that can't be written, it fails silently.
func (w Writer) Put(counts map[Name]int64) {
	if w.Out == nil {
		return
	}
	type definition struct {
		Name Name
		Unit string
	}
	type directive struct {
		Namespace  string
		Dimensions [][]string
		Metrics    []definition
	}
	d := directive{Namespace, [][]string{{Dimension}}, nil}
	line := map[string]any{Dimension: w.Stack}
	for _, name := range All() {
		if n, ok := counts[name]; ok {
			d.Metrics = append(d.Metrics, definition{name, "Count"})
			line[string(name)] = n
		}
	}
	line["_aws"] = map[string]any{"Timestamp": w.Now().UnixMilli(), "CloudWatchMetrics": []directive{d}}
	text, _ := json.Marshal(line) // of strings and numbers
	_, _ = w.Out.Write(append(text, '\n'))
}
