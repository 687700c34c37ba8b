// Command echo answers with its event and what its environment says.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
)

func main() {
	api := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/invocation/"
	for {
		next, err := http.Get(api + "next")
		if err != nil {
			log.Fatal(err)
		}
		event, err := io.ReadAll(next.Body)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("echo got", len(event), "bytes")
		answer, err := json.Marshal(map[string]any{
			"event": json.RawMessage(event), "greeting": os.Getenv("GREETING"), "search": os.Getenv("SEARCH_ENDPOINT"),
		})
		if err != nil {
			log.Fatal(err)
		}
		id := next.Header.Get("Lambda-Runtime-Aws-Request-Id")
		if _, err := http.Post(api+id+"/response", "application/json", bytes.NewReader(answer)); err != nil {
			log.Fatal(err)
		}
	}
}
