package main

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"stepsiem/shared/batch"
)

const landing = "stepsiem-landing-123456789012"

var (
	trail = batch.Object{Bucket: landing, Key: "AWSLogs/123456789012/CloudTrail/eu-west-1/2026/01/31/123456789012_CloudTrail_eu-west-1_20260131T1200Z_Fv8Yd9mHs3xBzQ1k.json.gz",
		Version: "3sL4kqtJlcpXroDTDmJ.rmSpXd3dIbrHY", ETag: "d41d8cd98f00b204e9800998ecf8427e", Size: 5120, Time: time.Date(2026, 1, 31, 12, 0, 10, 0, time.UTC)}
	odd = batch.Object{Bucket: landing, Key: "authlog/web 1+2%3A/größe 中.log",
		Version: "096fKKXTRTtl3on89fVO.nfljtsv6qko", ETag: "b1946ac92492d2347c6235b4d2611184", Size: 77, Time: time.Date(2026, 1, 31, 12, 0, 10, 0, time.UTC)}
	flow = batch.Object{Bucket: landing, Key: "AWSLogs/123456789012/vpcflowlogs/eu-west-1/2026/01/31/123456789012_vpcflowlogs_eu-west-1_fl-0a1b2c3d4e5f60718_20260131T1155Z_1a2b3c4d.log.gz",
		Version: "jtsv6qko096fKKXTRTtl3on89fVO.nfl", ETag: "0cc175b9c0f1b6a831c399e269772661", Size: 2048, Time: time.Date(2026, 1, 31, 12, 0, 10, 123e6, time.UTC)}
)

// late is odd as S3 itself tells it: with milliseconds.
func late() batch.Object {
	o := odd
	o.Time = o.Time.Add(123 * time.Millisecond)
	return o
}

// fixture is an event of sam/events, what Lambda gets from the queue.
func fixture(t *testing.T, name string) events.SQSEvent {
	t.Helper()
	raw, err := os.ReadFile("../../sam/events/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var e events.SQSEvent
	if err := json.Unmarshal(raw, &e); err != nil {
		t.Fatal(err)
	}
	return e
}

func TestReadFixtures(t *testing.T) {
	for name, want := range map[string][]batch.Object{
		"eventbridge.json":      {trail, odd},
		"notification.json":     {late(), flow},
		"notification-sns.json": {late()},
		"eventbridge-sns.json":  {odd},
		"test-event.json":       nil,
	} {
		t.Run(name, func(t *testing.T) {
			var got []batch.Object
			for _, m := range fixture(t, name).Records {
				objects, _, err := read(m.Body)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, objects...)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("read %+v\nwant %+v", got, want)
			}
		})
	}
}

func TestReadDropped(t *testing.T) {
	for name, body := range map[string]string{
		"test event":         `{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"b"}`,
		"deletion":           `{"detail-type":"Object Deleted","source":"aws.s3","detail":{"bucket":{"name":"b"},"object":{"key":"k"}}}`,
		"another's creation": `{"detail-type":"Object Created","source":"mine","detail":{"bucket":{"name":"b"},"object":{"key":"k"}}}`,
		"removal":            `{"Records":[{"eventSource":"aws:s3","eventName":"ObjectRemoved:Delete","s3":{"bucket":{"name":"b"},"object":{"key":"%zz"}}}]}`,
		"another's record":   `{"Records":[{"eventSource":"aws:ses","eventName":"ObjectCreated:Put"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			if objects, dropped, err := read(body); err != nil || len(objects) != 0 || len(dropped) != 1 {
				t.Errorf("read %v, dropped %q, error %v; want one reason", objects, dropped, err)
			}
		})
	}
}

func TestReadUnreadable(t *testing.T) {
	for name, body := range map[string]string{
		"nothing":          ``,
		"text":             `<html>`,
		"null":             `null`,
		"list":             `[]`,
		"something else":   `{"a":1}`,
		"no records":       `{"Records":[]}`,
		"no bucket":        `{"Records":[{"eventSource":"aws:s3","eventName":"ObjectCreated:Put","s3":{"object":{"key":"k"}}}]}`,
		"no key":           `{"detail-type":"Object Created","source":"aws.s3","detail":{"bucket":{"name":"b"}}}`,
		"bad escape":       `{"Records":[{"eventSource":"aws:s3","eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"b"},"object":{"key":"%zz"}}}]}`,
		"subscription":     `{"Type":"SubscriptionConfirmation","Message":"You have chosen to subscribe"}`,
		"text in SNS":      `{"Type":"Notification","Message":"hello"}`,
		"bad time":         `{"detail-type":"Object Created","source":"aws.s3","time":"yesterday","detail":{"bucket":{"name":"b"},"object":{"key":"k"}}}`,
		"deep":             strings.Repeat(`{"detail":`, 20000),
		"a size of a kind": `{"detail-type":"Object Created","source":"aws.s3","detail":{"bucket":{"name":"b"},"object":{"key":"k","size":"big"}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			if objects, dropped, err := read(body); err == nil {
				t.Errorf("read %v, dropped %q, want an error", objects, dropped)
			}
		})
	}
}
