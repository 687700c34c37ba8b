package batch

import (
	"maps"
	"math/rand/v2"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"stepsiem/shared/fault"
)

func some() []Object {
	return []Object{
		{Bucket: "b", Key: "AWSLogs/1/CloudTrail/us-east-1/2026/01/31/1_CloudTrail_us-east-1_20260131T1240Z_x.json.gz", Version: "v1"},
		{Bucket: "b", Key: "AWSLogs/1/CloudTrail/us-east-1/2026/01/31/1_CloudTrail_us-east-1_20260131T1200Z_y.json.gz", ETag: "e1"},
		{Bucket: "b", Key: "AWSLogs/1/CloudTrail/us-east-1/2026/01/31/1_CloudTrail_us-east-1_20260131T1220Z_z.json.gz", Version: "v1", ETag: "e1"},
	}
}

func TestID(t *testing.T) {
	want, objects := ID(some())
	if !regexp.MustCompile(`^cloudtrail-[0-9a-f]{16}$`).MatchString(want) || len(objects) != 3 {
		t.Fatal(want, len(objects))
	}
	for range 20 {
		list := append(some(), some()[rand.IntN(3)])
		rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		if got, distinct := ID(list); got != want || !slices.Equal(distinct, objects) {
			t.Fatalf("%s of %v, want %s", got, distinct, want)
		}
	}
	for name, change := range map[string]func(l []Object){
		"bucket":  func(l []Object) { l[0].Bucket = "c" },
		"key":     func(l []Object) { l[0].Key += "x" },
		"version": func(l []Object) { l[0].Version = "v2" },
		"etag":    func(l []Object) { l[1].ETag = "e2" },
	} {
		list := some()
		if change(list); must(ID(list)) == want {
			t.Errorf("another %s is the same batch", name)
		}
	}
	same := some()
	same[2].ETag, same[0].Size, same[0].Time = "e2", 7, time.Now() // with a version nothing else counts
	if got := must(ID(same)); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := must(ID(append(some(), Object{Bucket: "b", Key: "x"}))); !strings.HasPrefix(got, "mixed-") {
		t.Error(got)
	}
	if got := must(ID(nil)); !strings.HasPrefix(got, "mixed-") {
		t.Error(got)
	}
	// No choice of names makes two lists hash alike.
	if must(ID([]Object{{Bucket: "a b", Key: "c"}})) == must(ID([]Object{{Bucket: "a", Key: "b c"}})) {
		t.Error("names run together")
	}
}

func must(id string, _ []Object) string { return id }

func TestName(t *testing.T) {
	id, objects := ID(some())
	hash := id[len(id)-16:]
	written := []Object{{Bucket: "b", Key: "x", Time: time.Date(2026, 2, 1, 1, 2, 3, 0, time.FixedZone("", 3600))}}
	for _, c := range []struct {
		objects   []Object
		run, want string
	}{
		{objects, "", "cloudtrail-20260131T120000Z-" + hash},
		{objects, "rerun1", "cloudtrail-20260131T120000Z-" + hash + "-rerun1"},
		{written, "", "cloudtrail-20260201T000203Z-" + hash},
	} {
		got := Name(id, c.objects, c.run)
		if got != c.want || !regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`).MatchString(got) {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}

// ledgers of two objects in two chunks that close.
func ledgers() ([]ParseLedger, map[string]IndexLedger) {
	parsed := []ParseLedger{{Group: "0001", Notes: []string{"b"},
		Objects: []ObjectTally{
			{Object: Object{Bucket: "b", Key: "x"}, LogType: "authlog", Read: 10, Documents: 7, Quarantined: 1, Filtered: map[string]int64{"cron": 1, "other": 1}, Inflated: 100},
			{Object: Object{Bucket: "b", Key: "y"}, LogType: "vpcflowlog", Read: 5, Documents: 5, Inflated: 50, Failed: "cut off"},
		},
		Chunks: []ChunkTally{{"0001-0001", map[int]int64{0: 7, 1: 1}}, {"0001-0002", map[int]int64{1: 4}}}}}
	indexed := map[string]IndexLedger{
		"0001-0001": {Chunk: "0001-0001", Objects: map[int]IndexCounts{0: {Indexed: 4, Duplicate: 2, Quarantined: 1}, 1: {Indexed: 1}}, Notes: []string{"a", "b"}},
		"0001-0002": {Chunk: "0001-0002", Objects: map[int]IndexCounts{1: {Duplicate: 4}}},
	}
	return parsed, indexed
}

func TestFold(t *testing.T) {
	rows, notes, err := Fold(ledgers())
	if err != nil {
		t.Fatal(err)
	}
	want := []Row{
		{Object: "s3://b/x", Type: "authlog", Counts: Counts{1, 10, 4, 2, 2, 2, 100}},
		{Object: "s3://b/y", Type: "vpcflowlog", Counts: Counts{1, 5, 1, 4, 0, 0, 50}, Failed: "cut off"},
	}
	if !reflect.DeepEqual(rows, want) || !slices.Equal(notes, []string{"a", "b"}) {
		t.Errorf("%+v %v, want %+v", rows, notes, want)
	}
	a := Sum(&Plan{Batch: "mixed-0", Run: "r", Dropped: map[string]int{"folder": 1}}, rows, notes)
	if a.Total != (Counts{2, 15, 5, 6, 2, 2, 150}) || !a.Total.Closed() || !reflect.DeepEqual(a.Failed, []Failed{{"s3://b/y", "cut off"}}) {
		t.Errorf("%+v", a)
	}
	if !maps.Equal(a.Types, map[string]Counts{"authlog": want[0].Counts, "vpcflowlog": want[1].Counts}) {
		t.Errorf("%+v", a.Types)
	}
}

// TestFoldRefuses: whatever does not add up is a bug that stops the execution, and is named.
func TestFoldRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(p *ParseLedger, indexed map[string]IndexLedger)
		want   string
	}{
		"a record lost in Parse": {func(p *ParseLedger, _ map[string]IndexLedger) { p.Objects[0].Read++ }, "s3://b/x does not close: read 11"},
		"a record invented":      {func(p *ParseLedger, _ map[string]IndexLedger) { p.Objects[0].Quarantined++ }, "s3://b/x does not close"},
		"a filtered one lost":    {func(p *ParseLedger, _ map[string]IndexLedger) { delete(p.Objects[0].Filtered, "cron") }, "s3://b/x does not close"},
		"a chunk without ledger": {func(_ *ParseLedger, ix map[string]IndexLedger) { delete(ix, "0001-0002") }, "chunk 0001-0002 has none"},
		"a chunk forgotten":      {func(p *ParseLedger, _ map[string]IndexLedger) { p.Chunks = p.Chunks[:1] }, "s3://b/y does not close"},
		"a document not written": {func(_ *ParseLedger, ix map[string]IndexLedger) {
			ix["0001-0002"].Objects[1] = IndexCounts{Duplicate: 3}
		}, "chunk 0001-0002, object 1: 4 documents written, 3 accounted for"},
		"a document of no object": {func(p *ParseLedger, _ map[string]IndexLedger) { p.Chunks[1].Documents[2] = 0 }, "object 2"},
		"documents in excess":     {func(p *ParseLedger, ix map[string]IndexLedger) { ix["0001-0002"].Objects[0] = IndexCounts{Indexed: 1} }, "object 0"},
	} {
		t.Run(name, func(t *testing.T) {
			parsed, indexed := ledgers()
			c.change(&parsed[0], indexed)
			if _, _, err := Fold(parsed, indexed); fault.Of(err) != fault.Bug || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
}

func TestSumBounds(t *testing.T) {
	rows := slices.Repeat([]Row{{Object: "s3://b/x", Failed: strings.Repeat("x", 5000)}}, 1000)
	a := Sum(&Plan{}, rows, nil)
	if len(a.Failed) != MaxFailed || len(a.Failed[0].Reason) > 300 || a.Total.Objects != 0 || len(a.Types) != 1 {
		t.Errorf("%d failed, reason of %d bytes, %v", len(a.Failed), len(a.Failed[0].Reason), a.Types)
	}
}
