// Command sleep takes an event and never answers.
package main

import (
	"net/http"
	"os"
	"time"
)

func main() {
	http.Get("http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/invocation/next")
	time.Sleep(time.Hour)
}
