package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/cfn"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"stepsiem/shared/fault"
)

// Logs is what Subscriber needs of CloudWatch Logs.
type Logs interface {
	PutSubscriptionFilter(context.Context, *cloudwatchlogs.PutSubscriptionFilterInput, ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.PutSubscriptionFilterOutput, error)
	DeleteSubscriptionFilter(context.Context, *cloudwatchlogs.DeleteSubscriptionFilterInput, ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.DeleteSubscriptionFilterOutput, error)
}

// Subscriber is the custom resource Custom::Subscriptions. Its properties: Stack, the name of the filters; LogGroups, a
// list of TYPE=LOGGROUP; RoleArn, which CloudWatch Logs takes; Streams, from each type to the ARN of its Firehose stream.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html
type Subscriber struct {
	Logs Logs
	Wait time.Duration // between two tries while a new role is not known everywhere
}

// tries bounds the wait for a new role: on AWS it takes some ten seconds until one is known everywhere.
const tries = 12

// Handle makes the subscriptions what the properties say; what an older version of them named is given up. A deletion
// ends all. It may run again.
func (s *Subscriber) Handle(ctx context.Context, e cfn.Event) (id string, data map[string]any, err error) {
	const physical = "subscriptions" // never another one: CloudFormation would delete the old one, filters included
	wanted, err := read(e.ResourceProperties)
	if e.RequestType == cfn.RequestDelete {
		for group := range wanted { // whatever was wrong with the others was never made
			if err := s.remove(ctx, text(e.ResourceProperties, "Stack"), group); err != nil {
				return physical, nil, err
			}
		}
		return physical, nil, nil
	}
	if err != nil {
		return physical, nil, err
	}
	for _, group := range slices.Sorted(maps.Keys(wanted)) {
		if err := s.put(ctx, e.ResourceProperties, group, wanted[group]); err != nil {
			return physical, nil, err
		}
	}
	old, _ := read(e.OldResourceProperties) // was deployed once, or failed and made nothing
	for group := range old {
		if _, stays := wanted[group]; !stays {
			if err := s.remove(ctx, text(e.OldResourceProperties, "Stack"), group); err != nil {
				return physical, nil, err
			}
		}
	}
	return physical, map[string]any{"LogGroups": len(wanted)}, nil
}

func text(properties map[string]any, name string) string {
	v, _ := properties[name].(string)
	return v
}

// read returns the stream of each log group; with an error, those that could be read.
func read(properties map[string]any) (streams map[string]string, err error) {
	streams = map[string]string{}
	known, _ := properties["Streams"].(map[string]any)
	list, _ := properties["LogGroups"].([]any)
	stack := text(properties, "Stack")
	var wrong []error
	for _, item := range list {
		entry, _ := item.(string)
		if entry = strings.TrimSpace(entry); entry == "" { // an empty list is a list of one empty entry
			continue
		}
		typ, group, ok := strings.Cut(entry, "=")
		stream, _ := known[typ].(string)
		switch {
		case !ok || group == "":
			wrong = append(wrong, fmt.Errorf("LogGroups: %q is not TYPE=LOGGROUP", entry))
		case stream == "":
			wrong = append(wrong, fmt.Errorf("LogGroups: %q: no type %q; there are %s", entry, typ, strings.Join(slices.Sorted(maps.Keys(known)), ", ")))
		case streams[group] != "":
			wrong = append(wrong, fmt.Errorf("LogGroups: %s is listed twice", group))
		case own(stack, group):
			wrong = append(wrong, fmt.Errorf("LogGroups: %s is a log group of this stack: what it logs of its work would be work again, without end", group))
		default:
			streams[group] = stream
		}
	}
	if len(wrong) > 0 {
		return streams, fault.New(fault.BadInput, "%w", errors.Join(wrong...))
	}
	return streams, nil
}

// own are the log groups that our functions, machines and streams write to.
func own(stack, group string) bool {
	for _, prefix := range []string{"/aws/lambda/", "/aws/vendedlogs/states/", "/aws/kinesisfirehose/"} {
		if strings.HasPrefix(group, prefix+stack+"-") {
			return true
		}
	}
	return false
}

func (s *Subscriber) put(ctx context.Context, properties map[string]any, group, stream string) error {
	in := &cloudwatchlogs.PutSubscriptionFilterInput{
		LogGroupName: aws.String(group), FilterName: aws.String(text(properties, "Stack")), FilterPattern: aws.String(""),
		DestinationArn: aws.String(stream), RoleArn: aws.String(text(properties, "RoleArn")),
	}
	for try := 1; ; try++ {
		_, err := s.Logs.PutSubscriptionFilter(ctx, in)
		var invalid *types.InvalidParameterException
		switch {
		case err == nil:
			return nil
		case missing(err):
			return fault.New(fault.NotFound, "subscribe to %s: there is no such log group in this region: create it or take it out of LogGroups", group)
		case !errors.As(err, &invalid) || try == tries: // "could not deliver test message": the role is not known yet
			return fmt.Errorf("subscribe to %s: %w", group, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("subscribe to %s: %w; last: %w", group, ctx.Err(), err)
		case <-time.After(s.Wait):
		}
	}
}

func (s *Subscriber) remove(ctx context.Context, stack, group string) error {
	_, err := s.Logs.DeleteSubscriptionFilter(ctx, &cloudwatchlogs.DeleteSubscriptionFilterInput{LogGroupName: aws.String(group), FilterName: aws.String(stack)})
	if err != nil && !missing(err) {
		return fmt.Errorf("end subscription to %s: %w", group, err)
	}
	return nil
}

func missing(err error) bool {
	var gone *types.ResourceNotFoundException
	return errors.As(err, &gone)
}
