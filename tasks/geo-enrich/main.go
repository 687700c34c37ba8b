// Command geo-enrich is the GeoEnrich task.
package main

import (
	"time"

	"stepsiem/shared/blob"
	"stepsiem/shared/geo"
	"stepsiem/shared/task"
)

func main() {
	cfg := task.Must(task.Env[Config]())
	store := blob.NewS3(task.Must(task.AWS()))
	databases := geo.NewStore(blob.Bucket{Store: store, Name: cfg.DataBucket}, Age)
	task.Start((&Enricher{Config: cfg, Store: store, Databases: databases, Now: time.Now}).Handle)
}
