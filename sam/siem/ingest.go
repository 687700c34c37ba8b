package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/sync/errgroup"

	"stepsiem/shared/batch"
	"stepsiem/shared/blob"
)

// logTypes are what --type may say.
var logTypes = []string{"authlog", "cloudtrail", "vpcflowlog"}

func cmdIngest(ctx context.Context, c *call, args []string) error {
	all := c.flags.Bool("all", false, "upload hidden files and documentation too")
	typ := c.flags.String("type", "", "read the files as this log `TYPE`: "+strings.Join(logTypes, ", "))
	wait := c.flags.Duration("wait", 15*time.Minute, "how long to follow the executions")
	paths, err := c.parse(args, 1, -1)
	if err != nil {
		return err
	}
	if *typ != "" && !slices.Contains(logTypes, *typ) {
		return usagef("--type %q is none of %s", *typ, strings.Join(logTypes, ", "))
	}
	files, skipped, err := gather(paths, *all)
	if err != nil {
		return err
	}
	for _, name := range skipped {
		c.note("skipped %s", name)
	}
	if len(files) == 0 {
		return errors.New("no files to upload; --all takes hidden files and documentation too")
	}
	for i := range files {
		files[i].typ = *typ
	}
	e, err := c.open(ctx)
	if err != nil {
		return err
	}
	r, err := c.ingest(ctx, e, files, *wait)
	if err != nil {
		return err
	}
	r.Skipped = len(skipped)
	return errors.Join(c.print(r, r.text), r.failed())
}

// file is a file to upload: where it lies, the key it gets and, when it is known, the log type it is read as.
type file struct {
	path, key, typ string
	size           int64
	modified       time.Time
}

// gather finds the files under paths in order. What a folder holds beside logs is skipped unless all is set; a file that
// is named itself never is.
func gather(paths []string, all bool) (files []file, skipped []string, err error) {
	for _, root := range paths {
		err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if name != root && !all && noLog(d.Name()) {
				skipped = append(skipped, name)
				if d.IsDir() {
					return fs.SkipDir
				}
				return nil
			}
			info, err := os.Stat(name) // a link's file
			if err != nil {
				return err
			}
			if info.Mode().IsRegular() {
				files = append(files, file{path: name, key: landingKey(root, name), size: info.Size(), modified: info.ModTime()})
			}
			return nil
		})
		if err != nil {
			return nil, nil, fmt.Errorf("walk %s: %w", root, err)
		}
	}
	return files, skipped, nil
}

// noLog tells hidden files and plain documentation by their names.
func noLog(name string) bool {
	if strings.HasPrefix(name, ".") || strings.HasSuffix(strings.ToLower(name), ".md") {
		return true
	}
	for _, document := range []string{"LICENSE", "NOTICE", "README", "MANIFEST"} {
		if strings.HasPrefix(name, document) {
			return true
		}
	}
	return false
}

// landingKey is the key under which path, found under root, is uploaded.
func landingKey(root, name string) string {
	inside, err := filepath.Rel(root, name)
	if err != nil || inside == "." {
		inside = filepath.Base(name)
	}
	return path.Join("upload", filepath.ToSlash(inside))
}

// version is one version of an object, as uploaded or as an execution's input names it.
type version struct{ bucket, key, id string }

// ingest uploads files and follows the executions that take them in.
func (c *call) ingest(ctx context.Context, e *environment, files []file, wait time.Duration) (*result, error) {
	bar := newProgress(c.err)
	defer bar.end()
	since := time.Now().Add(-2 * time.Minute) // clocks differ; versions tell what is ours
	uploaded, err := e.upload(ctx, files, bar)
	if err != nil {
		return nil, err
	}
	wanted := map[version]bool{}
	for i, v := range uploaded {
		if files[i].size > 0 { // Plan drops empty objects
			wanted[v] = true
		}
	}
	found, err := e.follow(ctx, since, wanted, wait, bar)
	if err != nil {
		return nil, err
	}
	r, err := e.account(ctx, found, wanted)
	if err != nil {
		return nil, err
	}
	if empty := len(files) - len(wanted); empty > 0 {
		r.Objects += int64(empty)
		r.Notes = append(r.Notes, fmt.Sprintf("files without a byte, hence without records: %d", empty))
	}
	return r, nil
}

const uploadsAtOnce = 8

// upload puts files into the landing bucket.
func (e *environment) upload(ctx context.Context, files []file, bar *progress) ([]version, error) {
	uploaded := make([]version, len(files))
	var done atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(uploadsAtOnce)
	for i, f := range files {
		if ctx.Err() != nil {
			break
		}
		bar.show(int(done.Load()), len(files), fmt.Sprintf("%d of %d files uploaded", done.Load(), len(files)))
		g.Go(func() (err error) {
			uploaded[i], err = e.put(ctx, f)
			done.Add(1)
			return err
		})
	}
	err := g.Wait()
	return uploaded, err
}

func (e *environment) put(ctx context.Context, f file) (version, error) {
	body, err := os.Open(f.path)
	if err != nil {
		return version{}, err
	}
	defer body.Close()
	meta := map[string]string{blob.MetaTime: strconv.FormatInt(f.modified.Unix(), 10)}
	if f.typ != "" {
		meta[blob.MetaType] = f.typ
	}
	out, err := e.s3.PutObject(ctx, &s3.PutObjectInput{Bucket: &e.LandingBucket, Key: &f.key, Body: body, Metadata: meta})
	if err != nil {
		return version{}, fmt.Errorf("upload %s: %w", f.path, err)
	}
	return version{e.LandingBucket, f.key, aws.ToString(out.VersionId)}, nil
}

// follow finds the ingest executions started since then whose inputs hold what is wanted, and waits for their end.
func (e *environment) follow(ctx context.Context, since time.Time, wanted map[version]bool, wait time.Duration, bar *progress) ([]*execution, error) {
	deadline := time.Now().Add(wait)
	ours := []*execution{}
	looked := map[string]bool{} // by ARN
	covered := map[version]bool{}
	for {
		listed, err := e.list(ctx, ingestMachine, "", since)
		if err != nil {
			return nil, err
		}
		fresh := false
		for _, x := range listed {
			if looked[x.arn] {
				continue
			}
			looked[x.arn] = true
			if err := e.describe(ctx, x); err != nil {
				return nil, err
			}
			objects, err := e.objects(ctx, x)
			if err != nil {
				return nil, err
			}
			held := false
			for _, o := range objects {
				if v := (version{o.Bucket, o.Key, o.Version}); wanted[v] {
					covered[v], held = true, true
				}
			}
			if held {
				ours, fresh = append(ours, x), true
			}
		}
		done, err := e.refresh(ctx, ours)
		if err != nil {
			return nil, err
		}
		bar.show(len(covered)*(done+1), len(wanted)*(len(ours)+1),
			fmt.Sprintf("%d of %d objects found in %d executions, %d done", len(covered), len(wanted), len(ours), done))
		if len(covered) == len(wanted) && done == len(ours) && !fresh { // a large one starts others: look once more after its end
			return ours, nil
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("after %s %d of %d objects are in no execution and %d executions still run. Uploads wait in the queue while OpenSearch is unhealthy or much runs already: see siem status and siem executions; --wait follows longer",
				wait, len(wanted)-len(covered), len(wanted), len(ours)-done)
		}
		if err := pause(ctx); err != nil {
			return nil, err
		}
	}
}

// refresh brings the executions that have not ended up to date and counts those that have.
func (e *environment) refresh(ctx context.Context, list []*execution) (done int, err error) {
	for _, x := range list {
		if !x.ended() {
			if err := e.describe(ctx, x); err != nil {
				return 0, err
			}
		}
		if x.ended() {
			done++
		}
	}
	return done, nil
}

// await waits for the end of executions that were just started.
func (e *environment) await(ctx context.Context, list []*execution, bar *progress) error {
	for {
		done, err := e.refresh(ctx, list)
		if err != nil {
			return err
		}
		bar.show(done, len(list), fmt.Sprintf("%d of %d executions done", done, len(list)))
		if done == len(list) {
			return nil
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
}

const pollEvery = 500 * time.Millisecond

func pause(ctx context.Context) error {
	select {
	case <-time.After(pollEvery):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// result is what became of the objects that were ingested.
type result struct {
	Executions []*execution `json:"executions"`
	batch.Counts
	Types   map[string]batch.Counts `json:"types"`
	Unread  []batch.Failed          `json:"failed,omitempty"` // objects that could not be read whole
	Notes   []string                `json:"notes,omitempty"`
	Skipped int                     `json:"skipped"`
}

// account adds up the ledgers of executions and makes their documents visible to searches. With versions, only their rows
// count, each once, also when two executions read it.
func (e *environment) account(ctx context.Context, list []*execution, versions map[version]bool) (*result, error) {
	r := &result{Executions: list, Types: map[string]batch.Counts{}}
	seen := map[version]*batch.Row{}
	for _, x := range list {
		if x.Status != succeeded {
			continue
		}
		account, rows, err := e.ledger(ctx, x)
		if err != nil {
			return nil, err
		}
		r.Notes = append(r.Notes, account.Notes...)
		if versions == nil {
			r.Unread = append(r.Unread, account.Failed...)
			for typ, counts := range account.Types {
				r.add(typ, counts)
			}
			continue
		}
		for i := range rows {
			row := &rows[i]
			v := version{e.LandingBucket, strings.TrimPrefix(row.Object, "s3://"+e.LandingBucket+"/"), row.Version}
			if first := seen[v]; first != nil {
				merge(first, row)
			} else if versions[v] {
				seen[v] = row
			}
		}
	}
	for _, row := range seen {
		r.add(cmp.Or(row.Type, "unknown"), row.Counts)
		if row.Failed != "" {
			r.Unread = append(r.Unread, batch.Failed{Object: row.Object, Reason: row.Failed})
		}
	}
	slices.SortFunc(r.Unread, func(a, b batch.Failed) int { return cmp.Compare(a.Object, b.Object) })
	slices.Sort(r.Notes)
	r.Notes = slices.Compact(r.Notes)
	if err := e.refreshIndices(ctx); err != nil {
		r.Notes = append(r.Notes, "new documents may show up in searches late: "+err.Error())
	}
	return r, nil
}

func (r *result) add(typ string, counts batch.Counts) {
	r.Add(counts)
	counts.Add(r.Types[typ])
	r.Types[typ] = counts
}

// refreshIndices makes what was indexed visible to searches.
func (e *environment) refreshIndices(ctx context.Context) error {
	return e.search.Do(ctx, http.MethodPost, "/cwl-*/_refresh", nil, nil)
}

// merge adds what another execution did with the same version: what it indexed was a duplicate to the first.
func merge(first, again *batch.Row) {
	n := min(again.Indexed, first.Duplicate)
	first.Indexed += n
	first.Duplicate -= n
}

// ledger is the account of an execution that succeeded and its rows.
func (e *environment) ledger(ctx context.Context, x *execution) (a batch.Account, rows []batch.Row, err error) {
	if err := json.Unmarshal([]byte(x.output), &a); err != nil {
		return a, nil, fmt.Errorf("decode the output of %s: %w", x.Name, err)
	}
	body, _, err := e.store.Get(ctx, e.WorkBucket, a.Detail, "")
	if err != nil {
		return a, nil, fmt.Errorf("read the ledger of %s: %w", x.Name, err)
	}
	defer body.Close()
	var detail struct {
		Rows []batch.Row `json:"rows"`
	}
	if err := json.NewDecoder(body).Decode(&detail); err != nil {
		return a, nil, fmt.Errorf("decode the ledger of %s: %w", x.Name, err)
	}
	return a, detail.Rows, nil
}

// failed is an error that says what to do about executions that failed.
func (r *result) failed() error {
	var names []string
	for _, x := range r.Executions {
		if x.Status != succeeded {
			names = append(names, x.Name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d executions failed: siem show %s says why; after the fix siem rerun %s",
		len(names), len(r.Executions), names[0], strings.Join(names, " "))
}

func (r *result) text(w io.Writer) {
	printExecutions(w, r.Executions)
	fmt.Fprintln(w)
	printCounts(w, r.Types, r.Counts)
	for _, f := range r.Unread {
		fmt.Fprintf(w, "not read whole: %s: %s\n", printable(f.Object, maxCell), printable(f.Reason, maxCell))
	}
	for _, n := range r.Notes {
		fmt.Fprintf(w, "note: %s\n", printable(n, 2*maxCell))
	}
	if r.Quarantined > 0 {
		fmt.Fprintf(w, "%d records were set aside: siem quarantine list\n", r.Quarantined)
	}
}

// printCounts prints the ledger.
func printCounts(w io.Writer, types map[string]batch.Counts, total batch.Counts) {
	line := func(name string, c batch.Counts) []string {
		row := []string{name}
		for _, n := range []int64{c.Objects, c.Read, c.Indexed, c.Duplicate, c.Quarantined, c.Filtered, c.Bytes} {
			row = append(row, strconv.FormatInt(n, 10))
		}
		return row
	}
	var rows [][]string
	for _, t := range slices.Sorted(maps.Keys(types)) {
		rows = append(rows, line(t, types[t]))
	}
	table(w, []string{"TYPE", "OBJECTS", "READ", "INDEXED", "DUPLICATE", "QUARANTINED", "FILTERED", "BYTES"}, append(rows, line("total", total)))
}
