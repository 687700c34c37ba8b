// Package search talks to OpenSearch: one request, one answer, and errors that have a kind.
package search

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/opensearch-project/opensearch-go/v4"
	"github.com/opensearch-project/opensearch-go/v4/signer"
	"github.com/opensearch-project/opensearch-go/v4/signer/awsv2"

	"stepsiem/shared/fault"
)

// Config says where OpenSearch is and how to sign in: SigV4 with AWS, else basic with Username, else nothing.
type Config struct {
	Endpoint           string
	AWS                *aws.Config // sign with these credentials
	Username, Password string
}

// Client is safe for concurrent use. It retries nothing: the callers know what may be sent again.
type Client struct{ os *opensearch.Client }

// New returns a Client; it does not connect.
func New(cfg Config) (*Client, error) {
	var sign signer.Signer
	if cfg.AWS != nil {
		var err error
		if sign, err = awsv2.NewSignerWithService(*cfg.AWS, "es"); err != nil {
			return nil, fmt.Errorf("create signer: %w", err)
		}
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 8
	transport.ResponseHeaderTimeout = 2 * time.Minute
	c, err := opensearch.NewClient(opensearch.Config{
		Addresses: []string{cfg.Endpoint}, Username: cfg.Username, Password: cfg.Password, Signer: sign, Transport: transport,
		DisableRetry: true, DiscoverNodesOnStart: new(bool), HealthCheckMaxRetries: -1,
	})
	if err != nil {
		return nil, fmt.Errorf("create search client: %w", err)
	}
	return &Client{c}, nil
}

// Do sends one request with an optional JSON or NDJSON body and decodes the answer into out unless it is nil.
// An answer of 300 or above becomes an error with the kind of its error.type, and its reason.
func (c *Client) Do(ctx context.Context, method, path string, body []byte, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("make request %s %s: %w", method, path, err)
	}
	if len(body) == 0 {
		req.Body, req.GetBody = http.NoBody, nil
	} else {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.os.Stream(req)
	if err != nil {
		return fault.New(fault.Unavailable, "%s %s: %w", method, path, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		raw, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
		return answered(method, path, resp.StatusCode, raw)
	}
	if out == nil {
		_, err = io.Copy(io.Discard, resp.Body)
	} else {
		err = json.NewDecoder(resp.Body).Decode(out)
	}
	if err != nil {
		return fault.New(fault.Unavailable, "read answer of %s %s: %w", method, path, err)
	}
	return nil
}

// Error is what OpenSearch says of a request or a bulk item.
type Error struct {
	Type   string `json:"type"`
	Reason string `json:"reason"`
	Cause  *Error `json:"caused_by,omitempty"`
}

func (e *Error) String() string {
	s := e.Type + ": " + e.Reason
	if e.Cause != nil && len(s) < 1000 {
		s += "; " + e.Cause.String()
	}
	return s
}

func answered(method, path string, status int, raw []byte) error {
	var a struct {
		Error json.RawMessage `json:"error"`
	}
	var e Error
	if json.Unmarshal(raw, &a) != nil || json.Unmarshal(a.Error, &e) != nil {
		e = Error{Reason: strings.TrimSpace(string(raw[:min(len(raw), 500)]))}
	}
	return fault.New(Kind(status, &e), "%s %s: %d %s", method, path, status, &e)
}

// Kind classifies an answer by error.type; the status alone would mislead: a shard limit reached is a 400, a closed
// index too, a write-blocked one a 403. Only errors of the mapper and of the document are BadInput.
func Kind(status int, e *Error) fault.Kind {
	switch e.Type {
	case "mapper_parsing_exception", "document_parsing_exception", "strict_dynamic_mapping_exception", "mapper_exception",
		"x_content_parse_exception", "not_x_content_exception", "parsing_exception", "json_parse_exception":
		return fault.BadInput
	case "illegal_argument_exception":
		if strings.Contains(e.String(), "immense term") || strings.Contains(e.String(), "max_bytes_length_exceeded") || strings.Contains(e.Reason, "nested depth") {
			return fault.BadInput
		}
		if strings.Contains(e.Reason, "umber of documents") || strings.Contains(e.Reason, "Limit of total fields") {
			return fault.Unavailable // a full shard is an outage
		}
	case "validation_exception": // shard limit of the cluster
		return fault.Unavailable
	case "cluster_block_exception":
		if status != http.StatusTooManyRequests {
			return fault.Conflict
		}
	case "index_closed_exception", "snapshot_in_progress_exception", "concurrent_snapshot_execution_exception":
		return fault.Conflict
	case "security_exception", "authorization_exception":
		return fault.Denied
	}
	if k, ok := fault.OfStatus(status); ok {
		return k
	}
	return fault.Bug
}

// Healthy reports an error unless the cluster answers and is not red.
func (c *Client) Healthy(ctx context.Context) error {
	var h struct {
		Status string `json:"status"`
	}
	if err := c.Do(ctx, http.MethodGet, "/_cluster/health?timeout=5s", nil, &h); err != nil {
		return err
	}
	if h.Status == "red" {
		return fault.New(fault.Unavailable, "cluster is red")
	}
	return nil
}

// NotFound reports whether err says that what was asked for does not exist.
func NotFound(err error) bool { return err != nil && fault.Of(err) == fault.NotFound }
