package main

import (
	"context"
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/cfn"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
)

// logs is a CloudWatch Logs with some log groups; each has the stream that it is subscribed to.
type logs struct {
	groups map[string]string
	shy    int // puts that are refused as if the role were new
}

func (l *logs) PutSubscriptionFilter(_ context.Context, in *cloudwatchlogs.PutSubscriptionFilterInput, _ ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.PutSubscriptionFilterOutput, error) {
	if _, ok := l.groups[*in.LogGroupName]; !ok {
		return nil, &types.ResourceNotFoundException{}
	}
	if l.shy--; l.shy >= 0 {
		return nil, &types.InvalidParameterException{}
	}
	l.groups[*in.LogGroupName] = *in.DestinationArn
	return nil, nil
}

func (l *logs) DeleteSubscriptionFilter(_ context.Context, in *cloudwatchlogs.DeleteSubscriptionFilterInput, _ ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.DeleteSubscriptionFilterOutput, error) {
	if l.groups[*in.LogGroupName] == "" {
		return nil, &types.ResourceNotFoundException{}
	}
	l.groups[*in.LogGroupName] = ""
	return nil, nil
}

func properties(groups ...any) map[string]any {
	return map[string]any{"Stack": "s", "RoleArn": "role", "LogGroups": groups, "Streams": map[string]any{"authlog": "A", "vpcflowlog": "V"}}
}

func TestHandle(t *testing.T) {
	for name, c := range map[string]struct {
		event   cfn.Event
		shy     int
		want    map[string]string
		failure string
	}{
		"none":       {event: cfn.Event{RequestType: cfn.RequestCreate, ResourceProperties: properties("")}, want: map[string]string{"/a": "", "/b": "B"}},
		"one":        {event: cfn.Event{RequestType: cfn.RequestCreate, ResourceProperties: properties("authlog=/a")}, want: map[string]string{"/a": "A", "/b": "B"}},
		"new role":   {event: cfn.Event{RequestType: cfn.RequestCreate, ResourceProperties: properties("authlog=/a")}, shy: 3, want: map[string]string{"/a": "A", "/b": "B"}},
		"role never": {event: cfn.Event{RequestType: cfn.RequestCreate, ResourceProperties: properties("authlog=/a")}, shy: 99, failure: "InvalidParameter"},
		"changed": {event: cfn.Event{RequestType: cfn.RequestUpdate, ResourceProperties: properties("vpcflowlog=/a"), OldResourceProperties: properties("authlog=/a", "authlog=/b")},
			want: map[string]string{"/a": "V", "/b": ""}},
		"deleted":      {event: cfn.Event{RequestType: cfn.RequestDelete, ResourceProperties: properties("authlog=/b", "x", "authlog=/gone")}, want: map[string]string{"/a": "", "/b": ""}},
		"no such":      {event: cfn.Event{RequestType: cfn.RequestCreate, ResourceProperties: properties("authlog=/c")}, failure: "no such log group"},
		"no type":      {event: cfn.Event{RequestType: cfn.RequestCreate, ResourceProperties: properties("/a")}, failure: "TYPE=LOGGROUP"},
		"unknown type": {event: cfn.Event{RequestType: cfn.RequestCreate, ResourceProperties: properties("nginx=/a")}, failure: "there are authlog, vpcflowlog"},
		"twice":        {event: cfn.Event{RequestType: cfn.RequestCreate, ResourceProperties: properties("authlog=/a", "vpcflowlog=/a")}, failure: "listed twice"},
		"own function": {event: cfn.Event{RequestType: cfn.RequestCreate, ResourceProperties: properties("authlog=/aws/lambda/s-parse")}, failure: "without end"},
		"own machine":  {event: cfn.Event{RequestType: cfn.RequestCreate, ResourceProperties: properties("authlog=/aws/vendedlogs/states/s-ingest")}, failure: "without end"},
	} {
		l := &logs{groups: map[string]string{"/a": "", "/b": "B"}, shy: c.shy}
		id, _, err := (&Subscriber{Logs: l}).Handle(t.Context(), c.event)
		if id != "subscriptions" {
			t.Errorf("%s: id %q", name, id)
		}
		if c.failure != "" {
			if err == nil || !strings.Contains(err.Error(), c.failure) {
				t.Errorf("%s: %v, want %s", name, err, c.failure)
			}
			continue
		}
		if err != nil || !maps.Equal(l.groups, c.want) {
			t.Errorf("%s: %v %v, want %v", name, l.groups, err, c.want)
		}
	}
}

func TestCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := &Subscriber{Logs: &logs{groups: map[string]string{"/a": ""}, shy: 99}, Wait: 1 << 40}
	if _, _, err := s.Handle(ctx, cfn.Event{RequestType: cfn.RequestCreate, ResourceProperties: properties("authlog=/a")}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
