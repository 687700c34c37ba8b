package main

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"stepsiem/shared/blob"
	"stepsiem/shared/eni"
)

// pages answers one interface a page.
type pages struct {
	ids   []string
	fail  bool // at the second page
	calls int
}

func (p *pages) DescribeNetworkInterfaces(_ context.Context, in *ec2.DescribeNetworkInterfacesInput, _ ...func(*ec2.Options)) (*ec2.DescribeNetworkInterfacesOutput, error) {
	n := len(aws.ToString(in.NextToken))
	p.calls++
	if n > 0 && p.fail {
		return nil, errors.New("RequestLimitExceeded")
	}
	out := &ec2.DescribeNetworkInterfacesOutput{NetworkInterfaces: []types.NetworkInterface{{NetworkInterfaceId: &p.ids[n], VpcId: aws.String("vpc-1"),
		Groups: []types.GroupIdentifier{{GroupId: aws.String("sg-1")}, {GroupId: aws.String("sg-2")}}}}}
	if n+1 < len(p.ids) {
		out.NextToken = aws.String(strings.Repeat("n", n+1))
	}
	return out, nil
}

const key = "eni/123456789012/eu-west-1.json"

// TestSnapshot: the original asked for each record's interface and took only its first group; a deleted one lost the batch.
func TestSnapshot(t *testing.T) {
	store := &blob.Memory{}
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	day := 24 * time.Hour
	api := &pages{}
	s := &Snapshotter{Config: Config{Account: "123456789012", Region: "eu-west-1", DataBucket: "data"}, EC2: api, Store: store, Now: func() time.Time { return now }}
	face := func(seen time.Time) eni.Interface {
		return eni.Interface{VPC: "vpc-1", SecurityGroups: []string{"sg-1", "sg-2"}, Seen: seen}
	}
	first := now
	for _, step := range []struct {
		after time.Duration
		ids   []string
		out   Output
		want  map[string]time.Time // when each was seen
	}{
		{0, []string{"eni-1", "eni-2", "eni-3"}, Output{Key: key, Interfaces: 3}, map[string]time.Time{"eni-1": first, "eni-2": first, "eni-3": first}},
		{day, []string{"eni-1", "eni-4"}, Output{Key: key, Interfaces: 2, Remembered: 2},
			map[string]time.Time{"eni-1": first.Add(day), "eni-2": first, "eni-3": first, "eni-4": first.Add(day)}},
		{30 * day, []string{"eni-2"}, Output{Key: key, Interfaces: 1, Remembered: 2},
			map[string]time.Time{"eni-1": first.Add(day), "eni-2": first.Add(31 * day), "eni-4": first.Add(day)}},
	} {
		now = now.Add(step.after)
		api.ids, api.calls = step.ids, 0
		out, err := s.Handle(t.Context(), nil)
		if err != nil || out != step.out || api.calls != len(step.ids) {
			t.Fatalf("output %+v after %d calls, error %v; want %+v", out, api.calls, err, step.out)
		}
		got, err := eni.Read(t.Context(), store, "data", key)
		if err != nil {
			t.Fatal(err)
		}
		want := eni.Snapshot{Taken: now, Interfaces: map[string]eni.Interface{}}
		for id, seen := range step.want {
			want.Interfaces[id] = face(seen)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("snapshot %+v\nwant %+v", got, want)
		}
	}

	api.ids, api.fail = []string{"eni-8", "eni-9"}, true
	if _, err := s.Handle(t.Context(), nil); err == nil {
		t.Error("half an answer became a snapshot")
	}
	if got, err := eni.Read(t.Context(), store, "data", key); err != nil || len(got.Interfaces) != 3 {
		t.Errorf("snapshot %+v, error %v; want the old one", got, err)
	}
}

func TestUnreadableSnapshot(t *testing.T) {
	store := &blob.Memory{}
	if _, err := store.Put(t.Context(), "data", key, []byte(`{"interfaces":[`), nil); err != nil {
		t.Fatal(err)
	}
	s := &Snapshotter{Config: Config{Account: "123456789012", Region: "eu-west-1", DataBucket: "data"}, EC2: &pages{ids: []string{"eni-1"}}, Store: store, Now: time.Now}
	out, err := s.Handle(t.Context(), nil)
	if err != nil || out.Interfaces != 1 || !strings.Contains(out.Note, "decode interface snapshot") {
		t.Errorf("output %+v, error %v", out, err)
	}
	if _, err := eni.Read(t.Context(), store, "data", key); err != nil {
		t.Error(err)
	}
}
