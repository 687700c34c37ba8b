package metric_test

import (
	"bytes"
	"testing"
	"time"

	"stepsiem/shared/metric"
)

func TestPut(t *testing.T) {
	var out bytes.Buffer
	w := metric.Writer{Out: &out, Stack: "s", Now: func() time.Time { return time.UnixMilli(1700000000123) }}
	w.Put(map[metric.Name]int64{metric.RecordsRead: 3, metric.LedgerUnbalanced: 0})
	want := `{"LedgerUnbalanced":0,"RecordsRead":3,"Stack":"s","_aws":{"CloudWatchMetrics":[{"Namespace":"stepsiem","Dimensions":[["Stack"]],` +
		`"Metrics":[{"Name":"RecordsRead","Unit":"Count"},{"Name":"LedgerUnbalanced","Unit":"Count"}]}],"Timestamp":1700000000123}}` + "\n"
	if out.String() != want {
		t.Errorf("got  %s\nwant %s", out.String(), want)
	}
	metric.Writer{}.Put(map[metric.Name]int64{metric.RecordsRead: 3}) // a task without a writer
}
