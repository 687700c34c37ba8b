// Command account is the Account task.
package main

import (
	"os"
	"time"

	"stepsiem/shared/blob"
	"stepsiem/shared/metric"
	"stepsiem/shared/task"
)

func main() {
	cfg := task.Must(task.Env[Config]())
	metrics := metric.Writer{Out: os.Stdout, Stack: cfg.StackName, Now: time.Now}
	task.Start((&Accountant{Config: cfg, Store: blob.NewS3(task.Must(task.AWS())), Metrics: metrics}).Handle)
}
