// Command subscribe is the custom resource that has log groups delivered into the landing bucket.
package main

import (
	"time"

	"github.com/aws/aws-lambda-go/cfn"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"

	"stepsiem/shared/task"
)

func main() {
	s := &Subscriber{Logs: cloudwatchlogs.NewFromConfig(task.Must(task.AWS())), Wait: 5 * time.Second}
	task.Start(task.Handler[cfn.Event, string](cfn.LambdaWrap(s.Handle)))
}
