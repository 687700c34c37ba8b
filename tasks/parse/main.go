// Command parse is the Parse task.
package main

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/service/lambda"

	"stepsiem/shared/blob"
	"stepsiem/shared/task"
)

func main() {
	cfg := task.Must(task.Env[Config]())
	aws := task.Must(task.AWS())
	parser := task.Must(New(cfg, blob.NewS3(aws), time.Now))
	parser.Lambda = lambda.NewFromConfig(aws)
	task.Start(parser.Handle)
}
