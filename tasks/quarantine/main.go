// Command quarantine is the Quarantine task, for groups and for chunks.
package main

import (
	"time"

	"stepsiem/shared/blob"
	"stepsiem/shared/task"
)

func main() {
	cfg := task.Must(task.Env[Config]())
	task.Start((&Quarantiner{Config: cfg, Store: blob.NewS3(task.Must(task.AWS())), Now: time.Now}).Handle)
}
