package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
)

// question is an example search: what it asks, and which columns of the answer are shown.
type question struct {
	title, index, body string
	header             []string
	rows               func(answer) [][]string
}

// answer is what the questions' searches have in common.
type answer struct {
	Hits struct {
		Hits []struct {
			Source document `json:"_source"`
		} `json:"hits"`
	} `json:"hits"`
	Aggregations struct {
		By struct {
			Buckets []bucket `json:"buckets"`
		} `json:"by"`
	} `json:"aggregations"`
}

type bucket struct {
	Key     string `json:"key"`
	Count   int64  `json:"doc_count"`
	Failed  count  `json:"failed"`
	Success count  `json:"success"`
	Ports   value  `json:"ports"`
	Sent    value  `json:"sent"`
	Logs    terms  `json:"logs"`
}

type count struct {
	Count int64 `json:"doc_count"`
}

type value struct {
	Value float64 `json:"value"`
}

type terms struct {
	Buckets []struct {
		Key   string `json:"key"`
		Count int64  `json:"doc_count"`
	} `json:"buckets"`
}

// document is what the questions show of one.
type document struct {
	Time  string `json:"@timestamp"`
	Event struct {
		Action  string `json:"action"`
		Outcome string `json:"outcome"`
	} `json:"event"`
	User struct {
		Name string `json:"name"`
	} `json:"user"`
	Source struct {
		IP  string `json:"ip"`
		Geo struct {
			City    string `json:"city_name"`
			Country string `json:"country_name"`
		} `json:"geo"`
	} `json:"source"`
}

func digits(n int64) string { return strconv.FormatInt(n, 10) }

func documents(a answer) (rows [][]string) {
	for _, h := range a.Hits.Hits {
		d := h.Source
		rows = append(rows, []string{d.Time, d.User.Name, d.Event.Action, d.Event.Outcome, d.Source.IP, d.Source.Geo.City, d.Source.Geo.Country})
	}
	return rows
}

var documentHeader = []string{"TIME", "USER", "ACTION", "OUTCOME", "SOURCE", "CITY", "COUNTRY"}

// questions are what an analyst asks first.
var questions = []question{
	{
		title: "Which addresses failed to log in, and then did?", index: "cwl-authlog-*",
		body: `{"size":0,"query":{"term":{"event.action":"ssh_login"}},"aggs":{"by":{"terms":{"field":"source.ip","size":10},"aggs":{
			"failed":{"filter":{"term":{"event.outcome":"failure"}}},"success":{"filter":{"term":{"event.outcome":"success"}}},
			"both":{"bucket_selector":{"buckets_path":{"f":"failed>_count","s":"success>_count"},"script":"params.f >= 10 && params.s > 0"}}}}}}`,
		header: []string{"SOURCE", "FAILED", "SUCCEEDED"},
		rows: func(a answer) (rows [][]string) {
			for _, b := range a.Aggregations.By.Buckets {
				rows = append(rows, []string{b.Key, digits(b.Failed.Count), digits(b.Success.Count)})
			}
			return rows
		},
	},
	{
		title: "Who is rejected most often, on how many ports?", index: "cwl-vpcflowlog-*",
		body: `{"size":0,"query":{"term":{"aws.vpcflow.action":"REJECT"}},"aggs":{"by":{"terms":{"field":"source.ip","size":5},"aggs":{
			"ports":{"cardinality":{"field":"destination.port"}},"sent":{"sum":{"field":"network.bytes"}}}}}}`,
		header: []string{"SOURCE", "REJECTED", "PORTS", "BYTES"},
		rows: func(a answer) (rows [][]string) {
			for _, b := range a.Aggregations.By.Buckets {
				rows = append(rows, []string{b.Key, digits(b.Count), digits(int64(b.Ports.Value)), digits(int64(b.Sent.Value))})
			}
			return rows
		},
	},
	{
		title: "Which addresses of threat feeds show up, and where?", index: "cwl-*",
		body: `{"size":0,"query":{"term":{"threat.matched":true}},"aggs":{"by":{"terms":{"field":"threat.indicator.ip","size":10},"aggs":{
			"logs":{"terms":{"field":"event.dataset","size":5}}}}}}`,
		header: []string{"INDICATOR", "DOCUMENTS", "LOGS"},
		rows: func(a answer) (rows [][]string) {
			for _, b := range a.Aggregations.By.Buckets {
				logs := map[string]int{}
				for _, l := range b.Logs.Buckets {
					logs[l.Key] = int(l.Count)
				}
				rows = append(rows, []string{b.Key, digits(b.Count), tally(logs)})
			}
			return rows
		},
	},
	{
		title: "Which dangerous API calls were made?", index: "cwl-cloudtrail-*",
		body:   `{"size":10,"sort":["@timestamp"],"query":{"terms":{"event.action":["StopLogging","DeleteTrail","CreateAccessKey","AuthorizeSecurityGroupIngress"]}}}`,
		header: documentHeader, rows: documents,
	},
	{
		title: "Who signed in to the console without a second factor?", index: "cwl-cloudtrail-*",
		body:   `{"size":10,"sort":["@timestamp"],"query":{"bool":{"filter":[{"term":{"event.action":"ConsoleLogin"}},{"term":{"event.outcome":"success"}},{"term":{"aws.cloudtrail.mfa_used":"No"}}]}}}`,
		header: documentHeader, rows: documents,
	},
}

// ask sends a question to OpenSearch.
func (e *environment) ask(ctx context.Context, q question) ([][]string, error) {
	var a answer
	if err := e.search.Do(ctx, http.MethodPost, "/"+q.index+"/_search", []byte(q.body), &a); err != nil {
		return nil, fmt.Errorf("ask %q: %w", q.title, err)
	}
	return q.rows(a), nil
}
