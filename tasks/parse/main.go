// Command parse is the Parse task.
package main

import (
	"time"

	"stepsiem/shared/blob"
	"stepsiem/shared/task"
)

func main() {
	cfg := task.Must(task.Env[Config]())
	store := blob.NewS3(task.Must(task.AWS()))
	task.Start(task.Must(New(cfg, store, time.Now)).Handle)
}
