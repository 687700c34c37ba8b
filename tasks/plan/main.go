// Command plan is the Plan task.
package main

import (
	"stepsiem/shared/blob"
	"stepsiem/shared/task"
)

func main() {
	cfg := task.Must(task.Env[Config]())
	task.Start((&Planner{Config: cfg, Store: blob.NewS3(task.Must(task.AWS()))}).Handle)
}
