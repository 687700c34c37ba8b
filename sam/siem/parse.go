package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"runtime/debug"
	"slices"
	"syscall"
	"time"

	"stepsiem/shared/authlog"
	"stepsiem/shared/catalog"
	"stepsiem/shared/event"
	"stepsiem/shared/format"
	"stepsiem/shared/geo"
	"stepsiem/shared/indicator"
	"stepsiem/shared/join"
	"stepsiem/shared/vpcflowlog"
)

// landingBucket is the local stack's: siem parse says where siem ingest would put a file.
const landingBucket = "stepsiem-landing-000000000000"

// blockBytes of documents fit the processor's cache.
const blockBytes = 256 << 10

// parseOptions are the flags of siem parse.
type parseOptions struct {
	typ, fields, keep, filter, bucket, rejects, earliest string
	ranges, indicators                                   string
	geo                                                  []string
	bulk                                                 bool
	maxInflated                                          int64
	future                                               time.Duration
}

func cmdParse(ctx context.Context, c *call, args []string) error {
	var o parseOptions
	f := c.flags
	f.StringVar(&o.typ, "type", "", "read every file as this `TYPE` (cloudtrail, vpcflowlog, authlog) instead of looking at its content")
	f.StringVar(&o.fields, "format", "", "`FIELDS` of flow logs without a header line, blanks between")
	f.StringVar(&o.keep, "keep", string(vpcflowlog.All), "which flow logs: all, public or rejected")
	f.StringVar(&o.filter, "filter", authlog.DefaultFilter, "auth log `LINES` that are filtered: programs, each with the start of a message if need be")
	f.Func("geo", "MaxMind-format database `FILE`; may be repeated", func(s string) error { o.geo = append(o.geo, s); return nil })
	f.StringVar(&o.ranges, "aws-ranges", "", "AWS ip-ranges.json `FILE`")
	f.StringVar(&o.indicators, "indicators", "", "threat indicators: a list of addresses and prefixes, or a compiled set, in `FILE`")
	f.BoolVar(&o.bulk, "bulk", false, "print the bulk body instead")
	f.StringVar(&o.rejects, "rejects", "", "write what was set aside to `FILE` as NDJSON")
	f.StringVar(&o.bucket, "bucket", landingBucket, "landing `BUCKET` that log.file.path names")
	f.StringVar(&o.earliest, "earliest", "2010-01-01", "set aside events before this `DATE`")
	f.DurationVar(&o.future, "future", 48*time.Hour, "set aside events further ahead than this")
	f.Int64Var(&o.maxInflated, "max-inflated", format.DefaultMaxInflated, "set aside what a file inflates to beyond so many `BYTES`")
	files, err := c.parse(args, 1, -1)
	if err != nil {
		return err
	}
	s, opt, err := o.sink(c)
	if err != nil {
		return err
	}
	// The buffers are reused; collecting less often saves time, and the limit keeps memory bounded all the same.
	debug.SetGCPercent(400)
	opt.Bare, opt.BlockBytes = s.bare(), blockBytes
	return s.files(ctx, c, o, opt, files)
}

// sink checks the options and opens what they name.
func (o *parseOptions) sink(c *call) (*parseSink, format.Options, error) {
	now := time.Now().UTC()
	opt := format.Options{Type: o.typ, Batch: "parse", Ingested: now, Latest: now.Add(o.future), MaxInflated: o.maxInflated}
	var err error
	if opt.Formats, err = catalog.Formats(catalog.Config{KeepFlows: o.keep, FlowFormat: o.fields, AuthlogFilter: o.filter}); err != nil {
		return nil, opt, usageError(err.Error())
	}
	if o.typ != "" && !slices.ContainsFunc(opt.Formats, func(f format.Format) bool { return f.Type() == o.typ }) {
		return nil, opt, usagef("--type %q is none of cloudtrail, vpcflowlog, authlog", o.typ)
	}
	if opt.Earliest, err = time.Parse(time.DateOnly, o.earliest); err != nil {
		return nil, opt, usagef("--earliest %q is not a date like 2026-01-31", o.earliest)
	}
	s := &parseSink{out: c.out, bulk: o.bulk}
	var databases []*geo.Database
	for _, name := range o.geo {
		d, err := open(name, geo.OpenUnverified)
		if err != nil {
			return nil, opt, err
		}
		databases = append(databases, d)
	}
	var ranges *geo.Ranges
	if o.ranges != "" {
		if ranges, err = open(o.ranges, geo.OpenRanges); err != nil {
			return nil, opt, err
		}
	}
	if db := geo.New(databases, ranges); !db.Empty() {
		s.geo = db
	}
	if o.indicators != "" {
		s.set, err = open(o.indicators, func(name string, data []byte) (*indicator.Set, error) {
			set, problems, err := indicator.Open(name, data)
			if err == nil && problems.Total() > 0 {
				c.note("%s: %s", name, problems.String())
			}
			return set, err
		})
		if err != nil {
			return nil, opt, err
		}
		s.facts.Version = s.set.Version()
	}
	if o.rejects != "" {
		file, err := os.Create(o.rejects)
		if err != nil {
			return nil, opt, fmt.Errorf("create rejects: %w", err)
		}
		s.file, s.rejects = file, bufio.NewWriter(file)
	}
	return s, opt, nil
}

func open[T any](name string, f func(name string, data []byte) (T, error)) (out T, err error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return out, err
	}
	return f(name, data)
}

// summary is the line on stderr.
type summary struct {
	Read        int64            `json:"read"`
	Documents   int64            `json:"documents"`
	Quarantined int64            `json:"quarantined"`
	Filtered    int64            `json:"filtered"`
	Reasons     map[string]int64 `json:"filtered_reasons,omitempty"`
	Bytes       int64            `json:"bytes"`
	Seconds     float64          `json:"seconds"`
	CPUSeconds  float64          `json:"cpu_seconds"`
}

// files parses one file after the other and prints the summary.
func (s *parseSink) files(ctx context.Context, c *call, o parseOptions, opt format.Options, names []string) error {
	start := time.Now()
	sum := summary{Reasons: map[string]int64{}}
	r := format.NewReader(opt, s)
	var failed []error
	for i, name := range names {
		t, err := s.parse(ctx, r, o.bucket, int32(i), name)
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, syscall.EPIPE) {
				return err
			}
			failed = append(failed, err)
		}
		sum.Read += t.Read
		sum.Documents += t.Documents
		sum.Quarantined += t.Quarantined
		sum.Bytes += t.Bytes
		for reason, n := range t.Filtered {
			sum.Filtered += n
			sum.Reasons[reason] += n
		}
	}
	if s.rejects != nil {
		failed = append(failed, s.rejects.Flush(), s.file.Close())
	}
	sum.Seconds, sum.CPUSeconds = time.Since(start).Seconds(), cpuSeconds()
	raw, err := json.Marshal(sum)
	if err != nil {
		return fmt.Errorf("encode summary: %w", err)
	}
	fmt.Fprintf(c.err, "%s\n", raw)
	return errors.Join(failed...)
}

func (s *parseSink) parse(ctx context.Context, r *format.Reader, bucket string, object int32, name string) (format.Tally, error) {
	file, err := os.Open(name)
	if err != nil {
		return format.Tally{}, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return format.Tally{}, err
	}
	key := landingKey(name, name)
	at := info.ModTime().Truncate(time.Second).UTC()
	if named, ok := format.TimeOfKey(key); ok {
		at = named
	}
	s.name = name
	return r.Read(ctx, &event.Source{Bucket: bucket, Key: key, Path: "s3://" + bucket + "/" + key, Base: path.Base(key), Time: at}, object, file)
}

// cpuSeconds is the processor time of this process so far.
func cpuSeconds() float64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

// parseSink prints documents with their facts.
type parseSink struct {
	out     io.Writer
	bulk    bool
	geo     *geo.DB
	set     *indicator.Set
	facts   join.Facts
	buf     []byte
	known   int // addresses that have been looked up
	name    string
	file    *os.File
	rejects *bufio.Writer
}

// maxKnown bounds how many addresses' facts are remembered.
const maxKnown = 200_000

// Block prints one run of documents.
func (s *parseSink) Block(typ string, c *event.Chunk) error {
	if s.bare() {
		_, err := s.out.Write(c.Buf)
		return err
	}
	s.look(c)
	b := s.buf[:0]
	for i := range c.Records {
		r := &c.Records[i]
		if s.bulk {
			b = s.facts.AppendItem(b, typ, c, r)
			continue
		}
		b = append(s.facts.AppendDocument(b, c, r), '\n')
	}
	s.buf = b
	if len(c.Addresses.List()) > maxKnown {
		c.Addresses.Reset()
		s.known, s.facts.Geo, s.facts.Threat = 0, nil, nil
	}
	_, err := s.out.Write(b)
	return err
}

// bare reports whether documents are printed as they come: no facts to add, no ids to print.
func (s *parseSink) bare() bool { return !s.bulk && s.geo == nil && s.set == nil }

// look finds the facts of the addresses that are new.
func (s *parseSink) look(c *event.Chunk) {
	list := c.Addresses.List()
	for n := s.known; n < len(list); n++ {
		if s.geo != nil {
			s.facts.Geo = append(s.facts.Geo, s.geo.AppendFields(nil, list[n]))
		}
		if s.set != nil {
			if m, ok := s.set.Match(list[n]); ok {
				if s.facts.Threat == nil {
					s.facts.Threat = map[int32]*indicator.Match{}
				}
				s.facts.Threat[int32(n)] = &m
			}
		}
	}
	s.known = max(s.known, len(list))
}

// reject is a line of --rejects.
type reject struct {
	File string `json:"file"`
	*format.Reject
}

// Reject writes what was set aside.
func (s *parseSink) Reject(r *format.Reject) error {
	if s.rejects == nil {
		return nil
	}
	raw, err := json.Marshal(reject{s.name, r})
	if err != nil {
		return fmt.Errorf("encode reject: %w", err)
	}
	_, err = s.rejects.Write(append(raw, '\n'))
	return err
}
