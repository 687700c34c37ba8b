// Command index is the Index task.
package main

import (
	"context"
	"time"

	"stepsiem/shared/blob"
	"stepsiem/shared/indicator"
	"stepsiem/shared/search"
	"stepsiem/shared/task"
)

func main() {
	cfg := task.Must(task.Env[Config]())
	aws := task.Must(task.AWS())
	store := blob.NewS3(aws)
	client := task.Must(search.Open(context.Background(), cfg.SearchEndpoint, cfg.SearchAuth, cfg.SearchSecretARN, aws))
	sets := indicator.NewStore(blob.Bucket{Store: store, Name: cfg.DataBucket}, 0)
	task.Start((&Indexer{Config: cfg, Store: store, Search: client, Sets: sets, Now: time.Now, Retry: search.DefaultRetry}).Handle)
}
