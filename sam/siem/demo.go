package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
	"go4.org/netipx"

	"stepsiem/sam/siem/sample"
	"stepsiem/shared/fault"
	"stepsiem/shared/geo"
	"stepsiem/shared/indicator"
)

// demoAnswer is what demo prints as JSON.
type demoAnswer struct {
	*result
	Samples  string           `json:"samples"`
	Searches []searchedAnswer `json:"searches"`
}

type searchedAnswer struct {
	Question string     `json:"question"`
	Columns  []string   `json:"columns"`
	Rows     [][]string `json:"rows"`
}

func cmdDemo(ctx context.Context, c *call, args []string) error {
	wait := c.flags.Duration("wait", 15*time.Minute, "how long to follow the executions")
	if _, err := c.parse(args, 0, 0); err != nil {
		return err
	}
	e, err := c.up(ctx)
	if err != nil {
		return err
	}
	end, dir, err := sampleDay(filepath.Join(c.home, "samples"), time.Now())
	if err != nil {
		return err
	}
	if err := e.publishSamples(ctx, end); err != nil {
		return err
	}
	files, err := writeSamples(dir, end)
	if err != nil {
		return err
	}
	c.note("sample logs of the day before %s lie in %s", end.Format(time.DateTime), dir)
	r, err := c.ingest(ctx, e, files, *wait)
	if err != nil {
		return err
	}
	answer := demoAnswer{result: r, Samples: dir}
	for _, q := range questions {
		rows, err := e.ask(ctx, q)
		if err != nil {
			return err
		}
		answer.Searches = append(answer.Searches, searchedAnswer{q.title, q.header, rows})
	}
	return errors.Join(c.print(answer, func(w io.Writer) { answer.text(w, e) }), answer.check())
}

const stamp = "20060102T150405Z"

// sampleDay is the end of the sample logs: now, or what an earlier demo of the same day took, whose logs are then the same
// to the byte. dir is where they lie.
func sampleDay(parent string, now time.Time) (end time.Time, dir string, err error) {
	end = now.UTC().Truncate(time.Second)
	earlier, err := filepath.Glob(filepath.Join(parent, end.Format("20060102T*Z")))
	if err != nil {
		return end, "", fmt.Errorf("look for samples: %w", err)
	}
	for _, dir := range earlier {
		if t, err := time.Parse(stamp, filepath.Base(dir)); err == nil {
			return t, dir, nil
		}
	}
	return end, filepath.Join(parent, end.Format(stamp)), nil
}

func writeSamples(dir string, end time.Time) (files []file, err error) {
	samples, err := sample.Files(end)
	if err != nil {
		return nil, err
	}
	for _, s := range samples {
		path := filepath.Join(dir, filepath.FromSlash(s.Key))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(path, s.Data, 0o644); err != nil {
			return nil, err
		}
		files = append(files, file{path: path, key: s.Key, size: int64(len(s.Data)), modified: s.Time})
	}
	return files, nil
}

// dataBucket writes to the stack's data bucket.
type dataBucket struct{ *environment }

func (d dataBucket) Put(ctx context.Context, key string, data []byte) error {
	_, err := d.store.Put(ctx, d.DataBucket, key, data, nil)
	return err
}

func (d dataBucket) has(ctx context.Context, key string) (bool, error) {
	body, _, err := d.store.Get(ctx, d.DataBucket, key, "")
	if fault.Of(err) == fault.NotFound {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, body.Close()
}

// publishSamples puts a threat feed and a geo database for the sample addresses into use, unless there are others.
func (e *environment) publishSamples(ctx context.Context, now time.Time) error {
	data := dataBucket{e}
	there, err := data.has(ctx, indicator.PointerKey)
	if err != nil {
		return err
	}
	if !there {
		var entries []indicator.Entry
		for _, a := range sample.Hostile() {
			entries = append(entries, indicator.Entry{Prefix: netip.PrefixFrom(a, a.BitLen()), Feeds: []string{"demo"}, FirstSeen: now.Add(-7 * 24 * time.Hour), LastSeen: now, Confidence: 90})
		}
		if _, err := indicator.Publish(ctx, data, entries, now); err != nil {
			return fmt.Errorf("publish indicators: %w", err)
		}
	}
	if there, err = data.has(ctx, geo.PointerKey); err != nil || there {
		return err
	}
	database, err := geoDatabase(now)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(database)
	pointer := geo.Pointer{Databases: []geo.Object{{Key: "geo/demo.mmdb", SHA256: hex.EncodeToString(sum[:])}}}
	text, err := json.Marshal(pointer)
	if err != nil {
		return fmt.Errorf("encode geo pointer: %w", err)
	}
	if err := data.Put(ctx, pointer.Databases[0].Key, database); err != nil {
		return err
	}
	return data.Put(ctx, geo.PointerKey, text)
}

// geoDatabase is a MaxMind-format database of the sample networks.
func geoDatabase(now time.Time) ([]byte, error) {
	w, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: "GeoLite2-City", Description: map[string]string{"en": "the demo's made-up places"},
		RecordSize: 24, BuildEpoch: now.Unix()})
	if err != nil {
		return nil, fmt.Errorf("make geo database: %w", err)
	}
	named := func(name string) mmdbtype.Map { return mmdbtype.Map{"en": mmdbtype.String(name)} }
	for _, p := range sample.Places() {
		err := w.Insert(netipx.PrefixIPNet(p.Network), mmdbtype.Map{
			"city":      mmdbtype.Map{"names": named(p.City)},
			"country":   mmdbtype.Map{"iso_code": mmdbtype.String(p.Code), "names": named(p.Country)},
			"continent": mmdbtype.Map{"code": mmdbtype.String(p.Continent)},
			"location":  mmdbtype.Map{"latitude": mmdbtype.Float64(p.Latitude), "longitude": mmdbtype.Float64(p.Longitude)},
		})
		if err != nil {
			return nil, fmt.Errorf("make geo database: %w", err)
		}
	}
	var b bytes.Buffer
	if _, err := w.WriteTo(&b); err != nil {
		return nil, fmt.Errorf("make geo database: %w", err)
	}
	return b.Bytes(), nil
}

func (a *demoAnswer) text(w io.Writer, e *environment) {
	a.result.text(w)
	if a.Duplicate > 0 && a.Indexed == 0 {
		fmt.Fprintln(w, "every record was there already: a second demo on one day ingests the same logs")
	}
	for _, s := range a.Searches {
		fmt.Fprintf(w, "\n%s\n", s.Question)
		table(w, s.Columns, s.Rows)
	}
	fmt.Fprintln(w, "\nWhat next")
	table(w, nil, [][]string{
		{"siem show " + a.Executions[0].Name, "the states of an execution"},
		{"siem ingest " + a.Samples, "the same logs once more: all duplicates"},
		{"siem ingest DIR", "your own logs"},
		{"curl '" + e.Search + "/cwl-*/_search?q=threat.matched:true'", "your own searches"},
		{"siem down", "stop it all and discard the data"},
	})
}

// check is an error unless every type has an execution that succeeded, the ledger closes and all searches have answers.
func (a *demoAnswer) check() error {
	problems := []error{a.failed()}
	var types []string
	for _, t := range slices.Sorted(maps.Keys(a.Types)) {
		if slices.Contains(logTypes, t) && a.Types[t].Read > 0 {
			types = append(types, t)
		}
	}
	if !slices.Equal(types, logTypes) {
		problems = append(problems, fmt.Errorf("records of %s were read, not of all of %s", strings.Join(types, ", "), strings.Join(logTypes, ", ")))
	}
	if !a.Closed() {
		problems = append(problems, errors.New("the ledger does not close: that is a bug, please report it"))
	}
	for _, s := range a.Searches {
		if len(s.Rows) == 0 {
			problems = append(problems, fmt.Errorf("no answer to %q", s.Question))
		}
	}
	return errors.Join(problems...)
}
