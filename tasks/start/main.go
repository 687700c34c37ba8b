// Command start is the Start task: the Lambda behind the queue of landed objects.
package main

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"stepsiem/shared/blob"
	"stepsiem/shared/search"
	"stepsiem/shared/task"
)

func main() {
	cfg := task.Must(task.Env[Config]())
	aws := task.Must(task.AWS())
	client := task.Must(search.Open(context.Background(), cfg.SearchEndpoint, cfg.SearchAuth, cfg.SearchSecretARN, aws))
	machine := sfn.NewFromConfig(aws)
	task.Start((&Starter{Config: cfg, Machine: machine, Running: machine, Queue: sqs.NewFromConfig(aws), Store: blob.NewS3(aws), Search: client}).Handle)
}
