package format

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"

	"stepsiem/shared/event"
)

// payload is what CloudWatch Logs hands to a subscription.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html
type payload struct {
	MessageType string            `json:"messageType"`
	Owner       string            `json:"owner"`
	LogGroup    string            `json:"logGroup"`
	LogStream   string            `json:"logStream"`
	LogEvents   []json.RawMessage `json:"logEvents"`
	AWSLogs     *struct {
		Data string `json:"data"`
	} `json:"awslogs"`
	Records []json.RawMessage `json:"Records"`
}

type logEvent struct {
	ID        string          `json:"id"`
	Timestamp int64           `json:"timestamp"`
	Message   string          `json:"message"`
	Fields    json.RawMessage `json:"extractedFields"`
}

// ControlMessage is the reason under which a subscription's test messages are filtered.
const ControlMessage = "subscription control message"

var marks = [][]byte{[]byte(`"logEvents"`), []byte(`"awslogs"`), []byte(`"Records"`), []byte(`"messageType"`)}

// envelope reads raw when it is an envelope of records rather than one; done says so. Records inside it have no bytes of
// their own in the object: their offset is the envelope's plus their number.
func (r *Reader) envelope(raw []byte, offset int64) (done bool, err error) {
	if text, ok := message(raw); ok {
		return true, r.inner(text, offset, nil)
	}
	marked := false
	for _, m := range marks {
		marked = marked || bytes.Contains(raw, m)
	}
	var p payload
	if !marked || json.Unmarshal(raw, &p) != nil {
		return false, nil
	}
	switch {
	case p.AWSLogs != nil:
		return true, r.awslogs(p.AWSLogs.Data, raw, offset)
	case p.MessageType == "CONTROL_MESSAGE":
		r.tally.Read++
		r.tally.Filtered[ControlMessage]++
		return true, nil
	case p.MessageType == "DATA_MESSAGE" || p.MessageType == "" && p.LogEvents != nil && p.LogGroup != "":
		return true, r.payload(&p, offset)
	case p.MessageType != "" && p.LogEvents != nil:
		return true, r.reject(fmt.Sprintf("unknown messageType %.40q", p.MessageType), "", offset, int64(len(raw)), raw)
	case p.Records != nil:
		for i, rec := range p.Records {
			if err := r.inner(rec, offset+int64(i), nil); err != nil {
				return true, err
			}
		}
		return true, nil
	}
	return false, nil
}

// message is the text of {"message":"…"} without any other member: how VPC delivers flow logs to Firehose.
func message(raw []byte) ([]byte, bool) {
	if !bytes.HasPrefix(bytes.TrimLeft(raw[1:], " \t\r\n"), []byte(`"message"`)) {
		return nil, false
	}
	var m map[string]json.RawMessage
	var text *string
	if json.Unmarshal(raw, &m) != nil || len(m) != 1 || json.Unmarshal(m["message"], &text) != nil || text == nil {
		return nil, false
	}
	return bytes.TrimRight([]byte(*text), "\r\n"), true
}

// awslogs opens what a Lambda subscription receives: base64 of gzip of a payload.
func (r *Reader) awslogs(data string, raw []byte, offset int64) error {
	bad := func(what string, err error) error {
		return r.reject(fmt.Sprintf("%s awslogs.data: %v", what, err), "", offset, int64(len(raw)), raw)
	}
	packed, err := base64.StdEncoding.DecodeString(data)
	if err != nil {
		return bad("decode", err)
	}
	zr, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return bad("inflate", err)
	}
	plain, err := io.ReadAll(io.LimitReader(zr, MaxPayload+1))
	if err != nil {
		return bad("inflate", err)
	}
	if len(plain) > MaxPayload {
		return bad("inflate", fmt.Errorf("over the limit of %d bytes", MaxPayload))
	}
	var p payload
	if err := json.Unmarshal(plain, &p); err != nil || p.AWSLogs != nil {
		return bad("read", fmt.Errorf("no subscription payload: %v", err))
	}
	if done, err := r.envelope(plain, offset); done || err != nil {
		return err
	}
	return bad("read", fmt.Errorf("no subscription payload"))
}

// payload reads the log events of one subscription payload.
func (r *Reader) payload(p *payload, offset int64) error {
	origin := &event.Origin{Owner: p.Owner, LogGroup: p.LogGroup, LogStream: p.LogStream}
	origin.Prepare()
	for i, raw := range p.LogEvents {
		at := offset + int64(i)
		var e logEvent
		if err := json.Unmarshal(raw, &e); err != nil {
			if err := r.reject(fmt.Sprintf("read log event: %v", err), "", at, int64(len(raw)), raw); err != nil {
				return err
			}
			continue
		}
		origin.ID, origin.Time, origin.Fields = []byte(e.ID), e.Timestamp, e.Fields
		message := bytes.TrimRight([]byte(e.Message), "\r\n")
		if len(message) > r.opt.MaxRecord {
			if err := r.reject(fmt.Sprintf("record longer than %d bytes", r.opt.MaxRecord), "", at, int64(len(message)), message); err != nil {
				return err
			}
			continue
		}
		if err := r.inner(message, at, origin); err != nil {
			return err
		}
	}
	return nil
}

// inner reads one record out of an envelope, whatever its format.
func (r *Reader) inner(raw []byte, offset int64, origin *event.Origin) error {
	f := r.choose(raw, Lines)
	if head := bytes.TrimLeft(raw, " \t"); len(head) > 0 && head[0] == '{' {
		if j := r.choose(raw, JSON); j != nil {
			f = j
		}
	}
	switch {
	case f != nil:
	case r.run != nil && origin != nil:
		f = r.run.format
	default:
		f = r.hinted(Lines)
	}
	if f == nil {
		return r.reject("no known log format", "", offset, int64(len(raw)), raw)
	}
	if r.run == nil || r.run.format != f {
		if err := r.begin(f); err != nil {
			return err
		}
	}
	return r.record(raw, offset, origin)
}
