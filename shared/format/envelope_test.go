package format_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// payload is what a CloudWatch Logs subscription delivers, with an id and a time for each message.
func payload(kind string, messages ...string) string {
	type logEvent struct {
		ID        string            `json:"id"`
		Timestamp int64             `json:"timestamp"`
		Message   string            `json:"message"`
		Fields    map[string]string `json:"extractedFields,omitempty"`
	}
	p := map[string]any{"messageType": kind, "owner": "123456789010", "logGroup": "/var/log/auth", "logStream": "i-1", "subscriptionFilters": []string{"all"}}
	events := []logEvent{}
	for i, m := range messages {
		events = append(events, logEvent{fmt.Sprintf("%056d", i), 1769860800000, m, nil})
	}
	p["logEvents"] = events
	b, err := json.Marshal(p)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func awslogs(plain string) string {
	return `{"awslogs":{"data":"` + base64.StdEncoding.EncodeToString(packed(plain)) + `"}}`
}

func TestEnvelope(t *testing.T) {
	one, control := payload("DATA_MESSAGE", auth, auth), payload("CONTROL_MESSAGE", "CWL CONTROL MESSAGE: Checking health of destination Firehose.")
	for name, c := range map[string]struct{ body, want, reasons string }{
		"one":                {one, "authlog 2/2/0/0", ""},
		"many":               {one + one + one, "authlog 6/6/0/0", ""},
		"many, one a line":   {text(one, one), "authlog 4/4/0/0", ""},
		"flow":               {payload("DATA_MESSAGE", flow), "vpcflowlog 1/1/0/0", ""},
		"cloudtrail":         {payload("DATA_MESSAGE", trail(1), trail(2)), "cloudtrail 2/2/0/0", ""},
		"of several types":   {payload("DATA_MESSAGE", flow) + one, "mixed 3/3/0/0", ""},
		"control":            {control, "- 1/0/0/1", ""},
		"control among data": {one + control + one, "authlog 5/4/0/1", ""},
		"unknown message":    {payload("STRANGE_MESSAGE", auth), "- 1/0/1/0", `unknown messageType "STRANGE_MESSAGE"`},
		"no log format":      {payload("DATA_MESSAGE", "hello", auth, "hello"), "authlog 3/1/2/0", "no known log format; no program"},
		"no log event":       {strings.Replace(one, `"logEvents":[`, `"logEvents":[7,`, 1), "authlog 3/2/1/0", "read log event"},
		"line ends":          {payload("DATA_MESSAGE", auth+"\r\n"), "authlog 1/1/0/0", ""},
		"long message":       {payload("DATA_MESSAGE", auth+strings.Repeat("x", 3<<20), auth), "authlog 2/1/1/0", "record longer than"},
		"awslogs":            {awslogs(one), "authlog 2/2/0/0", ""},
		"awslogs twice":      {awslogs(one) + "\n" + awslogs(one), "authlog 4/4/0/0", ""},
		"awslogs pretty":     {"{\n  \"awslogs\": {\n    \"data\": " + awslogs(one)[len(`{"awslogs":{"data":`):], "authlog 2/2/0/0", ""},
		"awslogs control":    {awslogs(control), "- 1/0/0/1", ""},
		"awslogs no base64":  {`{"awslogs":{"data":"***"}}`, "- 1/0/1/0", "decode awslogs.data"},
		"awslogs no gzip":    {`{"awslogs":{"data":"aGVsbG8="}}`, "- 1/0/1/0", "inflate awslogs.data"},
		"awslogs truncated":  {`{"awslogs":{"data":"` + base64.StdEncoding.EncodeToString(packed(one)[:80]) + `"}}`, "- 1/0/1/0", "inflate awslogs.data: unexpected EOF"},
		"awslogs bomb":       {awslogs(strings.Repeat(" ", 33<<20)), "- 1/0/1/0", "over the limit of 33554432 bytes"},
		"awslogs in awslogs": {awslogs(awslogs(one)), "- 1/0/1/0", "no subscription payload"},
		"awslogs of null":    {awslogs("null"), "- 1/0/1/0", "no subscription payload"},
		"cut off":            {one + one[:len(one)-30], "authlog 3/2/1/0", "record cut off: unexpected end of JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			got := read(t, options(), "x", strings.NewReader(c.body))
			if got.summary() != c.want || !strings.Contains(got.reasons(), c.reasons) || (got.Quarantined == 0) != (got.reasons() == "") {
				t.Errorf("%s, want %s\nreasons %.300s, want %s", got.summary(), c.want, got.reasons(), c.reasons)
			}
		})
	}
}

// TestEventID: a log event's own id is the document's, whatever way it came; CloudTrail's eventID comes before it.
func TestEventID(t *testing.T) {
	want := []string{fmt.Sprintf("%056d", 0), fmt.Sprintf("%056d", 1)}
	for name, body := range map[string]string{"plain": payload("DATA_MESSAGE", auth, auth), "awslogs": awslogs(payload("DATA_MESSAGE", auth, auth))} {
		if got := read(t, options(), name, strings.NewReader(body)); !slices.Equal(got.ids, want) {
			t.Errorf("%s: %v", name, got.ids)
		}
	}
	direct := read(t, options(), "x", strings.NewReader(records(3)))
	subscribed := read(t, options(), "y", strings.NewReader(payload("DATA_MESSAGE", trail(0), trail(1), trail(2))))
	if !slices.Equal(direct.ids, subscribed.ids) {
		t.Errorf("%v, through a subscription %v", direct.ids, subscribed.ids)
	}
}

// TestOrigin: what the subscription says stands in the document.
func TestOrigin(t *testing.T) {
	got := read(t, options(), "x", strings.NewReader(payload("DATA_MESSAGE", auth)))
	for _, part := range []string{`"group":"/var/log/auth"`, `"stream":"i-1"`, `"owner":"123456789010"`, `"path":"s3://b/x"`} {
		if !strings.Contains(got.docs[0], part) {
			t.Errorf("no %s in %s", part, got.docs[0])
		}
	}
	if other := read(t, options(), "x", strings.NewReader(payload("DATA_MESSAGE", auth)+trail(1))); strings.Contains(other.docs[1], "/var/log/auth") {
		t.Errorf("the subscription's names stick to a record outside it: %s", other.docs[1])
	}
}
