// Package format turns objects into documents: it inflates, tells what an object holds, splits it into records and hands
// each to the format it belongs to. Adding a format is one package and one line in List.
package format

import "stepsiem/shared/event"

// Framing is how a format's records follow each other in an object.
type Framing int

const (
	Lines Framing = iota // one record a line, LF or CRLF
	JSON                 // JSON objects: in an array, under "Records", one a line, or just behind each other
)

// Format is one log type. It is safe for concurrent use.
type Format interface {
	// Type names the log type, the middle of cwl-<type>-YYYY.MM.DD.
	Type() string
	Framing() Framing
	// Sniff says how surely record is one of this format's records or header lines: 0 not at all, 100 beyond doubt. The record
	// is complete and without its line end; it may be anything at all.
	Sniff(record []byte) int
	// Open starts one run of records: an object, or one log stream in a subscription's payload. A Parser is used by one
	// goroutine; it may remember a header line.
	Open() Parser
}

// Parser writes one document for one record.
type Parser interface {
	// Parse appends the document of record to d (Doc.Begin … Doc.Labels, closed by "}"). record is only valid during the call.
	// It returns event.ErrSkip for what is no record (a header, an empty line), an event.Filtered for what is left out on
	// purpose, and any other error when the record can't be understood: its text becomes the reason in quarantine. What was
	// appended is taken back when an error is returned. It never keeps, changes or trusts record.
	Parse(record []byte, d *event.Doc) error
}
