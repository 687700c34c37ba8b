package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"stepsiem/shared/batch"
)

// envelope is any of the messages that tell of a new object. Each uses its own part.
type envelope struct {
	// EventBridge: https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
	Source     string    `json:"source"`
	DetailType string    `json:"detail-type"`
	Time       time.Time `json:"time"`
	Detail     struct {
		Bucket struct {
			Name string `json:"name"`
		} `json:"bucket"`
		Object struct {
			Key       string `json:"key"` // as it is
			Size      int64  `json:"size"`
			ETag      string `json:"etag"`
			VersionID string `json:"version-id"`
		} `json:"object"`
	} `json:"detail"`

	// S3 notification: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
	Records []record `json:"Records"`

	// S3's test event, sent when a notification is configured.
	Event string `json:"Event"`

	// SNS: https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html
	Type    string `json:"Type"`
	Message string `json:"Message"`
}

type record struct {
	EventSource string    `json:"eventSource"`
	EventName   string    `json:"eventName"`
	EventTime   time.Time `json:"eventTime"`
	S3          struct {
		Bucket struct {
			Name string `json:"name"`
		} `json:"bucket"`
		Object struct {
			Key       string `json:"key"` // URL-encoded, a blank is "+"
			Size      int64  `json:"size"`
			ETag      string `json:"eTag"`
			VersionID string `json:"versionId"`
		} `json:"object"`
	} `json:"s3"`
}

// read finds the created objects that a message tells of. dropped says why there are fewer of them than events. An error
// means that nobody can read the message.
func read(body string) (objects []batch.Object, dropped []string, err error) {
	var e envelope
	if err := json.Unmarshal([]byte(body), &e); err != nil {
		return nil, nil, fmt.Errorf("decode message: %w", err)
	}
	switch {
	case e.Type == "Notification" && e.Message != "":
		return read(e.Message) // ends: each level of quoting makes the rest shorter
	case e.Event == "s3:TestEvent":
		return nil, []string{"S3 test event"}, nil
	case e.DetailType != "":
		if e.Source != "aws.s3" || e.DetailType != "Object Created" {
			return nil, []string{fmt.Sprintf("event %q of %q", e.DetailType, e.Source)}, nil
		}
		o := &e.Detail.Object
		objects = []batch.Object{{Bucket: e.Detail.Bucket.Name, Key: o.Key, Version: o.VersionID, ETag: o.ETag, Size: o.Size, Time: e.Time}}
	case len(e.Records) > 0:
		for _, r := range e.Records {
			if r.EventSource != "aws:s3" || !strings.HasPrefix(r.EventName, "ObjectCreated:") {
				dropped = append(dropped, fmt.Sprintf("event %q of %q", r.EventName, r.EventSource))
				continue
			}
			o := &r.S3.Object
			key, err := url.QueryUnescape(o.Key)
			if err != nil {
				return nil, nil, fmt.Errorf("decode key: %w", err)
			}
			objects = append(objects, batch.Object{Bucket: r.S3.Bucket.Name, Key: key, Version: o.VersionID, ETag: o.ETag, Size: o.Size, Time: r.EventTime})
		}
	default:
		return nil, nil, fmt.Errorf("decode message: neither an S3 event of EventBridge nor an S3 notification")
	}
	for i := range objects {
		if objects[i].Bucket == "" || objects[i].Key == "" {
			return nil, nil, fmt.Errorf("decode message: an object without bucket or key")
		}
	}
	return objects, dropped, nil
}
