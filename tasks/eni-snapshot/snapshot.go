package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"stepsiem/shared/blob"
	"stepsiem/shared/eni"
	"stepsiem/shared/fault"
)

// Config is EniSnapshot's environment.
type Config struct {
	Account    string `env:"ACCOUNT_ID"`
	Region     string `env:"AWS_REGION"` // Lambda sets it
	DataBucket string `env:"DATA_BUCKET"`
}

const (
	keep     = 30 * 24 * time.Hour // how long a deleted interface stays known
	pageSize = 1000                // interfaces in one call; AWS's most
)

// Snapshotter notes the network interfaces of its account and region.
type Snapshotter struct {
	Config
	EC2   ec2.DescribeNetworkInterfacesAPIClient
	Store blob.Store
	Now   func() time.Time
}

// Output says what the snapshot holds.
type Output struct {
	Key        string `json:"key"`
	Interfaces int    `json:"interfaces"` // there now
	Remembered int    `json:"remembered"` // deleted, but still known
	Note       string `json:"note,omitempty"`
}

// Handle is the EniSnapshot task. Its input, the schedule's event, does not matter.
func (s *Snapshotter) Handle(ctx context.Context, _ json.RawMessage) (Output, error) {
	now := s.Now().UTC()
	snapshot := eni.Snapshot{Taken: now, Interfaces: map[string]eni.Interface{}}
	pages := ec2.NewDescribeNetworkInterfacesPaginator(s.EC2, &ec2.DescribeNetworkInterfacesInput{MaxResults: aws.Int32(pageSize)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return Output{}, fmt.Errorf("describe network interfaces: %w", err)
		}
		for _, i := range page.NetworkInterfaces {
			groups := make([]string, len(i.Groups))
			for n, g := range i.Groups {
				groups[n] = aws.ToString(g.GroupId)
			}
			snapshot.Interfaces[aws.ToString(i.NetworkInterfaceId)] = eni.Interface{VPC: aws.ToString(i.VpcId), SecurityGroups: groups, Seen: now}
		}
	}
	out := Output{Key: eni.Key(s.Account, s.Region), Interfaces: len(snapshot.Interfaces)}
	older, err := eni.Read(ctx, s.Store, s.DataBucket, out.Key)
	switch fault.Of(err) {
	case "", fault.NotFound:
	case fault.BadInput: // what nobody can read must not keep the new one from being written
		out.Note = err.Error()
	default:
		return Output{}, err
	}
	snapshot.Remember(older, keep)
	out.Remembered = len(snapshot.Interfaces) - out.Interfaces
	raw, err := json.Marshal(snapshot)
	if err != nil {
		return Output{}, fmt.Errorf("encode interface snapshot: %w", err)
	}
	_, err = s.Store.Put(ctx, s.DataBucket, out.Key, raw, nil)
	return out, err
}
