// Package flow tests the whole: compiled tasks under the unmodified template and machines, on the local engine and a real
// OpenSearch, driven by the siem command as its users would.
package flow

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	sfntypes "github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"stepsiem/sam/local"
	"stepsiem/shared/batch"
	"stepsiem/shared/search"
)

// stage is the running stack and the siem command built for it.
type stage struct {
	*local.Stack
	home, siem string
	search     *search.Client
}

var room stage // set up once by TestMain, which is what the tests of this package share

func TestMain(m *testing.M) { os.Exit(setUp(m)) }

// watch looks at every file that siem up builds from in a process of its own, so that go test does not take a result from its
// cache when one of them has changed.
func watch() error {
	for _, root := range []string{"../../tasks", "../../shared", "../../statemachines", "../../kibana", "../../sam", "../../template.yaml", "../../go.mod", "../../go.sum"} {
		err := filepath.WalkDir(root, func(path string, _ os.DirEntry, err error) error {
			if err == nil {
				_, err = os.Stat(path)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func setUp(m *testing.M) int {
	if err := watch(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	dir, err := os.MkdirTemp("", "flow")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	room.home, room.siem = filepath.Join(dir, "home"), filepath.Join(dir, "siem")
	if out, err := exec.Command("go", "build", "-o", room.siem, "stepsiem/sam/siem").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build siem: %v\n%s", err, out)
		return 1
	}
	defer local.Down(context.Background(), room.home)
	out, err := exec.Command(room.siem, "up", "--home", room.home).CombinedOutput()
	if err == nil {
		room.Stack, err = local.Open(room.home)
	}
	if err == nil {
		room.search, err = search.New(search.Config{Endpoint: room.Search})
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "siem up: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// run runs siem and decodes its JSON answer; code is its exit code.
func run(t *testing.T, answer any, args ...string) (code int) {
	t.Helper()
	cmd := exec.Command(room.siem, append(args, "--json", "--home", room.home)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		t.Fatal(err)
	}
	code = cmd.ProcessState.ExitCode()
	if err := json.Unmarshal(out, answer); err != nil {
		t.Fatalf("siem %s: exit %d, %v\n%s\n%s", strings.Join(args, " "), code, err, out, stderr.String())
	}
	t.Logf("siem %s: exit %d", strings.Join(args, " "), code)
	return code
}

// ingested is what siem ingest, quarantine replay and the like answer.
type ingested struct {
	Executions []struct{ Name, Machine, Status string }
	batch.Counts
}

func want(t *testing.T, got ingested, counts batch.Counts) {
	t.Helper()
	counts.Bytes, got.Bytes = 0, 0
	if got.Counts != counts {
		t.Errorf("counts are %+v, want %+v", got.Counts, counts)
	}
}

// folder writes files into a new folder; names that end in .gz are packed.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		data := []byte(content)
		if strings.HasSuffix(name, ".gz") {
			data = pack(t, data)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func pack(t *testing.T, data []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// flows makes n flow log lines, different for every seed.
func flows(seed, n int) string {
	var b strings.Builder
	start := time.Now().Add(-time.Hour).Unix()
	for i := range n {
		fmt.Fprintf(&b, "2 123456789012 eni-%017x 10.0.%d.%d 52.%d.%d.7 %d 443 6 %d %d %d %d ACCEPT OK\n", seed, i/250%250, i%250, seed%250, i%250, 1024+i%60000, i%100+1, i+40, start, start+60)
	}
	return b.String()
}

func trail(ids ...string) string {
	var records []string
	for _, id := range ids {
		records = append(records, fmt.Sprintf(`{"eventVersion":"1.08","userIdentity":{"type":"Root","accountId":"123456789012","arn":"arn:aws:iam::123456789012:root"},"eventTime":%q,"eventSource":"ec2.amazonaws.com","eventName":"DescribeInstances","awsRegion":"us-east-1","sourceIPAddress":"52.94.76.10","eventID":%q,"eventType":"AwsApiCall","recipientAccountId":"123456789012"}`, time.Now().UTC().Add(-time.Hour).Format(time.RFC3339), id))
	}
	return `{"Records":[` + strings.Join(records, ",") + `]}`
}

const authLines = `%[1]s web1 sshd[100]: Failed password for root from 61.177.172.136 port 4711 ssh2
%[1]s web1 sshd[101]: Invalid user root from 1.2.3.4 from 5.6.7.8 port 22
%[1]s web1 CRON[102]: (root) CMD (true)
%[1]s web1 sudo:   bob : TTY=pts/0 ; PWD=/home/bob ; USER=root ; COMMAND=/usr/bin/crontab -e
this is no log line
`

func auth() string {
	return fmt.Sprintf(authLines, time.Now().UTC().Add(-time.Hour).Format(time.RFC3339))
}

func TestIngest(t *testing.T) {
	dir := folder(t, map[string]string{
		"flow.log.gz":        flows(1, 2000),
		"auth.log":           auth(),
		"trail.json.gz":      trail("11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"),
		"a b+c%25 ü.json.gz": trail("33333333-3333-3333-3333-333333333333"),
	})
	var got ingested
	if code := run(t, &got, "ingest", dir); code != 0 {
		t.Errorf("exit %d", code)
	}
	want(t, got, batch.Counts{Objects: 4, Read: 2008, Indexed: 2006, Quarantined: 1, Filtered: 1})
	for _, e := range got.Executions {
		if e.Status != "SUCCEEDED" {
			t.Errorf("execution %s is %s", e.Name, e.Status)
		}
	}
	run(t, &got, "ingest", dir)
	want(t, got, batch.Counts{Objects: 4, Read: 2008, Duplicate: 2006, Quarantined: 1, Filtered: 1})

	docs := documents(t, "cwl-authlog-*", `{"term":{"source.ip":"5.6.7.8"}}`)
	if len(docs) != 1 {
		t.Errorf("%d documents name the true source of a hostile user name", len(docs))
	}
	if docs := documents(t, "cwl-*", `{"term":{"logType":"FailedLogin"}}`); len(docs) != 2 {
		t.Errorf("the old name logType finds %d documents, want 2", len(docs))
	}
}

// documents returns the sources of what query finds, by id.
func documents(t *testing.T, index, query string) map[string]map[string]any {
	t.Helper()
	ctx := t.Context()
	if err := room.search.Do(ctx, "POST", "/"+index+"/_refresh", nil, nil); err != nil {
		t.Fatal(err)
	}
	docs := map[string]map[string]any{}
	after := ""
	for {
		var page struct {
			Hits struct {
				Hits []struct {
					ID     string         `json:"_id"`
					Source map[string]any `json:"_source"`
					Sort   []any
				}
			}
		}
		body := fmt.Sprintf(`{"size":5000,"query":%s,"sort":[{"log.file.path":"asc"},{"log.offset":"asc"},{"_id":"asc"}]%s}`, query, after)
		if err := room.search.Do(ctx, "POST", "/"+index+"/_search", []byte(body), &page); err != nil {
			t.Fatal(err)
		}
		if len(page.Hits.Hits) == 0 {
			return docs
		}
		for _, h := range page.Hits.Hits {
			docs[h.ID] = h.Source
		}
		last, err := json.Marshal(page.Hits.Hits[len(page.Hits.Hits)-1].Sort)
		if err != nil {
			t.Fatal(err)
		}
		after = `,"search_after":` + string(last)
	}
}

// TestRealTrail is the acceptance case: 1,233 real records, and the same again.
func TestRealTrail(t *testing.T) {
	dir := "../../../shared/data/cloudtrail"
	if _, err := os.Stat(dir); err != nil {
		t.Skip("the real CloudTrail files are not here")
	}
	var got ingested
	run(t, &got, "ingest", dir)
	if got.Indexed != 1233 || got.Quarantined != 0 || !got.Closed() {
		t.Errorf("first time: %+v", got.Counts)
	}
	run(t, &got, "ingest", dir)
	if got.Indexed != 0 || got.Duplicate != 1233 {
		t.Errorf("second time: %+v", got.Counts)
	}
}

// put uploads an object without any command.
func put(t *testing.T, key string, data []byte) (version string) {
	t.Helper()
	out, err := room.S3().PutObject(t.Context(), &s3.PutObjectInput{Bucket: &room.LandingBucket, Key: &key, Body: bytes.NewReader(data)})
	if err != nil {
		t.Fatal(err)
	}
	return aws.ToString(out.VersionId)
}

// execute starts the ingest machine as one would in the console, and waits.
func execute(t *testing.T, name string, input any) *sfn.DescribeExecutionOutput {
	t.Helper()
	client := sfn.NewFromConfig(room.AWSConfig())
	raw, err := json.Marshal(input)
	if err != nil {
		t.Fatal(err)
	}
	out, err := client.StartExecution(t.Context(), &sfn.StartExecutionInput{StateMachineArn: aws.String(room.Machines["ingest"]), Name: &name, Input: aws.String(string(raw))})
	if err != nil {
		t.Fatal(err)
	}
	return wait(t, aws.ToString(out.ExecutionArn), 3*time.Minute)
}

func wait(t *testing.T, arn string, patience time.Duration) *sfn.DescribeExecutionOutput {
	t.Helper()
	client := sfn.NewFromConfig(room.AWSConfig())
	for deadline := time.Now().Add(patience); ; time.Sleep(300 * time.Millisecond) {
		d, err := client.DescribeExecution(t.Context(), &sfn.DescribeExecutionInput{ExecutionArn: &arn})
		if err != nil {
			t.Fatal(err)
		}
		if d.Status != sfntypes.ExecutionStatusRunning {
			return d
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s still runs after %s", arn, patience)
		}
	}
}

// TestSpoiledObjects deletes, truncates and corrupts objects of one batch: the others are indexed and the ledger closes.
func TestSpoiledObjects(t *testing.T) {
	good, gone := pack(t, []byte(flows(2, 500))), pack(t, []byte(flows(3, 500)))
	cut := pack(t, []byte(flows(4, 20000)))
	corrupt := pack(t, []byte(flows(5, 500)))
	copy(corrupt[len(corrupt)/2:], "garbage in the middle of it all")
	type object = batch.Object
	var in batch.Request
	add := func(key string, data []byte) {
		put(t, key, data)
		in.Objects = append(in.Objects, object{Bucket: room.LandingBucket, Key: key})
	}
	add("spoiled/good.log.gz", good)
	add("spoiled/gone.log.gz", gone)
	add("spoiled/cut.log.gz", cut[:len(cut)/2])
	add("spoiled/corrupt.log.gz", corrupt)
	add("spoiled/empty.log", nil)
	add("spoiled/folder/", nil)
	if _, err := room.S3().DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &room.LandingBucket, Key: aws.String("spoiled/gone.log.gz")}); err != nil {
		t.Fatal(err)
	}
	d := execute(t, "spoiled", in)
	if d.Status != sfntypes.ExecutionStatusSucceeded {
		t.Fatalf("%s: %s", d.Status, aws.ToString(d.Cause))
	}
	var a batch.Account
	if err := json.Unmarshal([]byte(aws.ToString(d.Output)), &a); err != nil {
		t.Fatal(err)
	}
	if !a.Total.Closed() || a.Total.Objects != 4 || a.Dropped["empty"] != 1 || a.Dropped["folder"] != 1 {
		t.Errorf("account is %+v", a)
	}
	var failed []string
	for _, f := range a.Failed {
		failed = append(failed, filepath.Base(f.Object))
	}
	slices.Sort(failed)
	if !slices.Equal(failed, []string{"corrupt.log.gz", "cut.log.gz", "gone.log.gz"}) {
		t.Errorf("failed objects are %v", failed)
	}
	if docs := documents(t, "cwl-vpcflowlog-*", `{"wildcard":{"log.file.path":"*/spoiled/good.log.gz"}}`); len(docs) != 500 {
		t.Errorf("%d of 500 documents of the good object", len(docs))
	}
	if docs := documents(t, "cwl-vpcflowlog-*", `{"wildcard":{"log.file.path":"*/spoiled/cut.log.gz"}}`); len(docs) < 5000 {
		t.Errorf("only %d documents of the readable half", len(docs))
	}
}

// TestLargePlan makes one execution too small for a prefix: its parts run as executions of their own, and the ledger of the
// whole closes.
func TestLargePlan(t *testing.T) {
	limits(t, map[string]string{"GROUP_OBJECTS": "2", "MAX_GROUPS": "2"})
	const objects, lines = 10, 20 // beside the landing bucket, so that no event ingests them before
	for i := range objects {
		key := fmt.Sprintf("large/%02d.log", i)
		if _, err := room.S3().PutObject(t.Context(), &s3.PutObjectInput{Bucket: &room.DataBucket, Key: &key, Body: strings.NewReader(flows(200+i, lines))}); err != nil {
			t.Fatal(err)
		}
	}
	d := execute(t, "large", batch.Request{Bucket: room.DataBucket, Prefix: "large/"})
	if d.Status != sfntypes.ExecutionStatusSucceeded {
		t.Fatalf("%s: %s %s", d.Status, aws.ToString(d.Error), aws.ToString(d.Cause))
	}
	var a batch.Account
	if err := json.Unmarshal([]byte(aws.ToString(d.Output)), &a); err != nil {
		t.Fatal(err)
	}
	if a.Total.Objects != objects || a.Total.Indexed != objects*lines || !a.Total.Closed() {
		t.Errorf("account is %+v", a)
	}
}

// limits changes Plan's environment for one test.
func limits(t *testing.T, change map[string]string) {
	t.Helper()
	client, name := lambda.NewFromConfig(room.AWSConfig()), aws.String("stepsiem-plan")
	was, err := client.GetFunctionConfiguration(t.Context(), &lambda.GetFunctionConfigurationInput{FunctionName: name})
	if err != nil {
		t.Fatal(err)
	}
	set := func(ctx context.Context, variables map[string]string) {
		_, err := client.UpdateFunctionConfiguration(ctx, &lambda.UpdateFunctionConfigurationInput{FunctionName: name, Environment: &lambdatypes.Environment{Variables: variables}})
		if err == nil {
			err = lambda.NewFunctionUpdatedV2Waiter(client).Wait(ctx, &lambda.GetFunctionInput{FunctionName: name}, time.Minute)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	variables := maps.Clone(was.Environment.Variables)
	maps.Copy(variables, change)
	set(t.Context(), variables)
	t.Cleanup(func() { set(context.Background(), was.Environment.Variables) })
}

// TestPoisonMessage puts something unreadable into the queue between good objects: it ends in the dead-letter queue, alone.
func TestPoisonMessage(t *testing.T) {
	client, functions := sqs.NewFromConfig(room.AWSConfig()), lambda.NewFromConfig(room.AWSConfig())
	start, err := functions.GetFunctionConfiguration(t.Context(), &lambda.GetFunctionConfigurationInput{FunctionName: aws.String("stepsiem-start")})
	if err != nil {
		t.Fatal(err)
	}
	dead := aws.String(start.Environment.Variables["DEAD_LETTER_QUEUE_URL"])
	sources, err := functions.ListEventSourceMappings(t.Context(), &lambda.ListEventSourceMappingsInput{FunctionName: start.FunctionName})
	if err != nil || len(sources.EventSourceMappings) != 1 {
		t.Fatal(sources, err)
	}
	arn := aws.ToString(sources.EventSourceMappings[0].EventSourceArn)
	queue, err := client.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String(arn[strings.LastIndex(arn, ":")+1:])})
	if err != nil {
		t.Fatal(err)
	}
	const poison = `{"this":"is no event"}`
	if _, err := client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: queue.QueueUrl, MessageBody: aws.String(poison)}); err != nil {
		t.Fatal(err)
	}
	put(t, "authlog/poison.log", []byte(auth()))
	deadline := time.Now().Add(time.Minute)
	for len(documents(t, "cwl-authlog-*", `{"wildcard":{"log.file.path":"*/poison.log"}}`)) < 3 {
		if time.Now().After(deadline) {
			t.Fatal("the good object beside the poison is not indexed")
		}
		time.Sleep(time.Second)
	}
	for {
		out, err := client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: dead, MaxNumberOfMessages: 10, WaitTimeSeconds: 1})
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Messages) > 0 {
			if len(out.Messages) != 1 || !strings.Contains(aws.ToString(out.Messages[0].Body), "is no event") {
				t.Errorf("the dead-letter queue holds %d messages, the first %q", len(out.Messages), aws.ToString(out.Messages[0].Body))
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the poison is not in the dead-letter queue")
		}
	}
}

// TestOutage stops OpenSearch in the middle of an ingest. The execution fails in red, siem rerun completes it, and the
// documents equal what siem parse makes of the same files.
func TestOutage(t *testing.T) {
	files := map[string]string{}
	for i := range 8 {
		files[fmt.Sprintf("outage-%d.log.gz", i)] = flows(100+i, 15000)
	}
	dir := folder(t, files)
	done := make(chan ingested)
	go func() {
		var got ingested
		run(t, &got, "ingest", dir)
		done <- got
	}()
	for count(t) == 0 { // something of the batch is there, and not all of it
		time.Sleep(100 * time.Millisecond)
	}
	if err := room.StopSearch(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := <-done
	var failed []string
	for _, e := range got.Executions {
		if e.Status == "FAILED" {
			failed = append(failed, e.Name)
		}
	}
	if err := room.StartSearch(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(failed) == 0 {
		t.Fatalf("no execution failed: %+v", got)
	}
	var again struct {
		Rerun []struct{ Name, Status, How string }
	}
	if code := run(t, &again, append([]string{"rerun"}, failed...)...); code != 0 {
		t.Errorf("rerun: exit %d", code)
	}
	for _, r := range again.Rerun {
		if r.Status != "SUCCEEDED" {
			t.Errorf("rerun %s is %s", r.Name, r.Status)
		}
	}

	indexed := documents(t, "cwl-vpcflowlog-*", `{"wildcard":{"log.file.path":"*/upload/outage-*"}}`)
	var paths []string
	for _, name := range slices.Sorted(maps.Keys(files)) {
		paths = append(paths, filepath.Join(dir, name))
	}
	out, err := exec.Command(room.siem, append([]string{"parse", "--bulk"}, paths...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
	if len(lines) != 2*len(indexed) {
		t.Errorf("%d documents indexed, siem parse makes %d", len(indexed), len(lines)/2)
	}
	for i := 0; i+1 < len(lines); i += 2 {
		var action struct {
			Create struct {
				ID string `json:"_id"`
			}
		}
		var doc map[string]any
		if err := cmp.Or(json.Unmarshal(lines[i], &action), json.Unmarshal(lines[i+1], &doc)); err != nil {
			t.Fatal(err)
		}
		if a, b := normal(t, doc), normal(t, indexed[action.Create.ID]); a != b {
			t.Fatalf("document %s is\n%s\nwant\n%s", action.Create.ID, b, a)
		}
	}
}

func count(t *testing.T) int {
	var answer struct{ Count int }
	query := []byte(`{"query":{"wildcard":{"log.file.path":"*/upload/outage-*"}}}`)
	if err := room.search.Do(t.Context(), "POST", "/cwl-vpcflowlog-*/_refresh", nil, nil); err != nil {
		t.Fatal(err)
	}
	if err := room.search.Do(t.Context(), "POST", "/cwl-vpcflowlog-*/_count", query, &answer); err != nil {
		t.Fatal(err)
	}
	return answer.Count
}

// normal drops the two members in which an indexed document may differ from siem parse's.
func normal(t *testing.T, doc map[string]any) string {
	t.Helper()
	if e, ok := doc["event"].(map[string]any); ok {
		delete(e, "ingested")
	}
	if l, ok := doc["labels"].(map[string]any); ok {
		delete(l, "batch")
	}
	raw, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
