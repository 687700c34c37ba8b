// Command eni-snapshot is the EniSnapshot task; a schedule calls it.
package main

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"stepsiem/shared/blob"
	"stepsiem/shared/task"
)

func main() {
	cfg := task.Must(task.Env[Config]())
	aws := task.Must(task.AWS())
	task.Start((&Snapshotter{Config: cfg, EC2: ec2.NewFromConfig(aws), Store: blob.NewS3(aws), Now: time.Now}).Handle)
}
