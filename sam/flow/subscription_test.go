package flow

import (
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"stepsiem/sam/local"
)

// TestLogGroup updates the stack with a log group to subscribe to; an event put to it becomes a document with no further
// command: subscription → Firehose → landing bucket → ingest. A log group of the stack's own is refused.
func TestLogGroup(t *testing.T) {
	const group = "/var/log/secure"
	logs := cloudwatchlogs.NewFromConfig(room.AWSConfig())
	if _, err := logs.CreateLogGroup(t.Context(), &cloudwatchlogs.CreateLogGroupInput{LogGroupName: aws.String(group)}); err != nil {
		t.Fatal(err)
	}
	stream := &cloudwatchlogs.CreateLogStreamInput{LogGroupName: aws.String(group), LogStreamName: aws.String("web-1")}
	if _, err := logs.CreateLogStream(t.Context(), stream); err != nil {
		t.Fatal(err)
	}
	s, err := local.Up(t.Context(), local.Config{Home: room.home, Parameters: map[string]string{"LogGroups": "authlog=" + group}})
	if err != nil {
		t.Fatal(err)
	}
	room.Stack = s
	now := time.Now().UTC()
	line := now.Format("Jan _2 15:04:05") + " web-1 sshd[811]: Failed password for root from 203.0.113.77 port 40022 ssh2"
	_, err = logs.PutLogEvents(t.Context(), &cloudwatchlogs.PutLogEventsInput{
		LogGroupName: aws.String(group), LogStreamName: aws.String("web-1"),
		LogEvents: []types.InputLogEvent{{Message: aws.String(line), Timestamp: aws.Int64(now.UnixMilli())}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var found struct {
		Hits struct {
			Hits []struct {
				Source struct {
					Log struct{ Group string } `json:"log"`
				} `json:"_source"`
			} `json:"hits"`
		} `json:"hits"`
	}
	for end := time.Now().Add(3 * time.Minute); time.Now().Before(end) && len(found.Hits.Hits) == 0; time.Sleep(time.Second) {
		_ = room.search.Do(t.Context(), http.MethodPost, "/cwl-authlog-*/_refresh", nil, nil) // not there yet
		err = room.search.Do(t.Context(), http.MethodGet, "/cwl-authlog-*/_search?q=source.ip:203.0.113.77", nil, &found)
	}
	if err != nil || len(found.Hits.Hits) != 1 || found.Hits.Hits[0].Source.Log.Group != group {
		t.Errorf("found %+v, %v; want one document of %s", found, err, group)
	}
}
