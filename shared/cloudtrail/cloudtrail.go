// Package cloudtrail turns AWS CloudTrail records into ECS documents: log records of all categories and Insight records;
// digests are left out by name.
//
// The record is scanned once, strictly (RFC 8259). Of members with one name the first that is not null counts. No value
// of an unexpected type fails a record: only invalid JSON and a missing or impossible eventTime do. What
// OpenSearch would refuse is shortened or put in other words; event.original holds the record as it came.
package cloudtrail

import (
	"bytes"
	"hash/maphash"

	"stepsiem/shared/event"
	"stepsiem/shared/format"
)

// Digest is the reason under which digest files are counted.
const Digest = event.Filtered("cloudtrail digest")

// Config is what an operator may set: nothing so far.
type Config struct{}

// Format is the log type "cloudtrail".
type Format struct{}

// New returns the format; it is safe for concurrent use.
func New(Config) *Format { return &Format{} }

// Type is the middle of cwl-cloudtrail-YYYY.MM.DD.
func (*Format) Type() string { return "cloudtrail" }

// Framing is JSON objects, most often in an object's Records.
func (*Format) Framing() format.Framing { return format.JSON }

var (
	recordMarks = [][]byte{[]byte(`"eventVersion"`), []byte(`"eventTime"`), []byte(`"eventSource"`), []byte(`"eventName"`),
		[]byte(`"eventID"`), []byte(`"awsRegion"`), []byte(`"userIdentity"`), []byte(`"recipientAccountId"`)}
	insightMark = []byte(`"AwsCloudTrailInsight"`)
	digestMarks = [][]byte{[]byte(`"digestStartTime"`), []byte(`"digestS3Object"`), []byte(`"logFiles"`)}
)

// Sniff counts the members that every record, or every digest, has. It does not ask whether the JSON is valid: a broken
// record is still to be set aside as CloudTrail's.
func (*Format) Sniff(record []byte) int {
	if record = trim(record); len(record) == 0 || record[0] != '{' {
		return 0
	}
	n := max(15*count(record, recordMarks), 33*count(record, digestMarks))
	if bytes.Contains(record, insightMark) {
		n += 50
	}
	return min(n, 100)
}

func count(record []byte, marks [][]byte) (n int) {
	for _, m := range marks {
		if bytes.Contains(record, m) {
			n++
		}
	}
	return n
}

var mark = []byte("\uFEFF") // a byte order mark

func trim(record []byte) []byte {
	return bytes.Trim(bytes.TrimPrefix(record, mark), " \t\r\n")
}

// Open returns a parser; it remembers nothing from record to record.
func (*Format) Open() format.Parser {
	return &parser{scan: scanner{seed: maphash.MakeSeed()}}
}

// parser reads a record into values, then writes the document from them.
type parser struct {
	scan    scanner
	values  [slots]value
	parts   []byte // objects and arrays of the record, compact
	unknown []unknown
	id      []byte
}

// value is one value of the record, null being none.
type value struct {
	kind  kind
	ready bool // the text stands as it is to be written
	span
}

type kind uint8

const (
	none  kind = iota
	text       // a string, in the record, without quotes
	word       // a number, true or false, in the record
	part       // an object or array, in parts
	quote      // a string, in parts, ready and with quotes
)

// unknown is a member that no level has, in the record.
type unknown struct {
	path string
	name span
	at   int // its value
}

// Parse implements format.Parser.
func (p *parser) Parse(record []byte, d *event.Doc) error {
	if record = trim(record); len(record) == 0 {
		return event.ErrSkip
	}
	if err := p.read(record); err != nil {
		return err
	}
	if p.values[digestStart].kind != none && p.values[eventTime].kind == none {
		return Digest
	}
	ms, err := p.time()
	if err != nil {
		return err
	}
	if id := &p.values[eventID]; id.kind == text && sane(record[id.start:id.end]) {
		p.id = append(p.id[:0], record[id.start:id.end]...)
		d.ID = p.id
	}
	d.Begin(ms)
	p.event(d, record)
	p.entities(d)
	d.Buf = append(d.Buf, `,"aws":`...)
	d.Buf = p.details(d.Buf)
	d.Labels()
	if c, ok := classes[string(p.text(eventSource))][string(p.text(eventName))]; ok {
		d.Buf = append(d.Buf, `,"classification":"`...)
		d.Buf = append(d.Buf, c...)
		d.Buf = append(d.Buf, '"')
	}
	d.Buf = append(d.Buf, "}}"...)
	return nil
}
