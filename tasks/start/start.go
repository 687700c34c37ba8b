package main

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"stepsiem/shared/batch"
)

// Config is Start's environment.
type Config struct {
	LandingBucket   string `env:"LANDING_BUCKET"`
	WorkBucket      string `env:"WORK_BUCKET"`
	Machine         string `env:"INGEST_MACHINE_ARN"`
	DeadLetters     string `env:"DEAD_LETTER_QUEUE_URL"`
	MaxRunning      int    `env:"MAX_RUNNING_EXECUTIONS"`
	SearchEndpoint  string `env:"SEARCH_ENDPOINT"`
	SearchAuth      string `env:"SEARCH_AUTH"`
	SearchSecretARN string `env:"SEARCH_SECRET_ARN"`
}

// Starter names batches of landed objects and starts their executions, once.
type Starter struct {
	Config
	Machine machine
	Running sfn.ListExecutionsAPIClient
	Queue   sender
	Store   putter
	Search  cluster
}

type sender interface {
	SendMessage(context.Context, *sqs.SendMessageInput, ...func(*sqs.Options)) (*sqs.SendMessageOutput, error)
}

type cluster interface {
	Healthy(context.Context) error
}

const (
	healthTimeout = 8 * time.Second
	maxReason     = 1000 // bytes of a dead letter's reason
)

// load is what is to be ingested of one log type, and the messages that told of it.
type load struct {
	objects  []batch.Object
	messages []string
}

// Handle is the Start task: a message comes back to the queue only when what it tells of could not be started.
func (s *Starter) Handle(ctx context.Context, in events.SQSEvent) (events.SQSEventResponse, error) {
	why, err := s.busy(ctx)
	if err != nil {
		return events.SQSEventResponse{}, err
	}
	failed := map[string]bool{}
	if why != "" {
		slog.WarnContext(ctx, "messages left in the queue", "reason", why, "messages", len(in.Records))
		for _, m := range in.Records {
			failed[m.MessageId] = true
		}
		return response(failed), nil
	}
	loads := s.read(ctx, in.Records, failed)
	for _, typ := range slices.Sorted(maps.Keys(loads)) {
		l := loads[typ]
		if err := s.start(ctx, l.objects); err != nil {
			slog.ErrorContext(ctx, "batch not started", "type", typ, "objects", len(l.objects), "error", err.Error())
			for _, m := range l.messages {
				failed[m] = true
			}
		}
	}
	return response(failed), nil
}

func response(failed map[string]bool) (r events.SQSEventResponse) {
	for _, m := range slices.Sorted(maps.Keys(failed)) {
		r.BatchItemFailures = append(r.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: m})
	}
	return r
}

// busy says why nothing should be started now, or "".
func (s *Starter) busy(ctx context.Context) (string, error) {
	running := 0
	pages := sfn.NewListExecutionsPaginator(s.Running, &sfn.ListExecutionsInput{StateMachineArn: &s.Config.Machine,
		StatusFilter: types.ExecutionStatusRunning, MaxResults: int32(min(s.MaxRunning+1, 1000))})
	for pages.HasMorePages() && running <= s.MaxRunning {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return "", fmt.Errorf("list executions: %w", err)
		}
		running += len(page.Executions)
	}
	if running > s.MaxRunning {
		return fmt.Sprintf("more than %d executions are running", s.MaxRunning), nil
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	if err := s.Search.Healthy(ctx); err != nil {
		return "OpenSearch is not healthy: " + err.Error(), nil
	}
	return "", nil
}

// read sorts the messages' objects by log type. Messages that nobody can read are moved to the dead letters, those that
// can't be moved are failed.
func (s *Starter) read(ctx context.Context, messages []events.SQSMessage, failed map[string]bool) map[string]*load {
	loads := map[string]*load{}
	for _, m := range messages {
		objects, dropped, err := read(m.Body)
		if err != nil {
			if err := s.bury(ctx, m, err.Error()); err != nil {
				slog.ErrorContext(ctx, "dead letter not sent", "message", m.MessageId, "error", err.Error())
				failed[m.MessageId] = true
			}
			continue
		}
		for _, o := range objects {
			if o.Bucket != s.LandingBucket {
				dropped = append(dropped, fmt.Sprintf("object of bucket %q", o.Bucket))
				continue
			}
			l := loads[o.LogType()]
			if l == nil {
				l = &load{}
				loads[o.LogType()] = l
			}
			l.objects, l.messages = append(l.objects, o), append(l.messages, m.MessageId)
		}
		for _, reason := range dropped {
			slog.InfoContext(ctx, "event dropped", "message", m.MessageId, "reason", reason)
		}
	}
	return loads
}

// bury moves a message to the dead letters with the reason.
func (s *Starter) bury(ctx context.Context, m events.SQSMessage, reason string) error {
	text := func(v string) sqstypes.MessageAttributeValue {
		return sqstypes.MessageAttributeValue{DataType: aws.String("String"), StringValue: &v}
	}
	reason = strings.ToValidUTF8(reason[:min(len(reason), maxReason)], "?")
	_, err := s.Queue.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &s.DeadLetters, MessageBody: &m.Body,
		MessageAttributes: map[string]sqstypes.MessageAttributeValue{"Reason": text(reason), "MessageId": text(m.MessageId)}})
	if err == nil {
		slog.WarnContext(ctx, "message moved to the dead letters", "message", m.MessageId, "reason", reason)
	}
	return err
}
