// Command threat-match is the ThreatMatch task.
package main

import (
	"time"

	"stepsiem/shared/blob"
	"stepsiem/shared/indicator"
	"stepsiem/shared/task"
)

func main() {
	cfg := task.Must(task.Env[Config]())
	store := blob.NewS3(task.Must(task.AWS()))
	sets := indicator.NewStore(blob.Bucket{Store: store, Name: cfg.DataBucket}, 0)
	task.Start((&Matcher{Config: cfg, Store: store, Sets: sets, Now: time.Now}).Handle)
}
