package search

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"stepsiem/shared/fault"
)

// Body is a bulk body under construction: pairs of an action line and a document, and where each pair ends.
type Body struct {
	Buf  []byte
	Ends []int
}

// Add ends an item whose two lines the caller has appended to Buf.
func (b *Body) Add() { b.Ends = append(b.Ends, len(b.Buf)) }

// Item is the bytes of item i.
func (b *Body) Item(i int) []byte {
	start := 0
	if i > 0 {
		start = b.Ends[i-1]
	}
	return b.Buf[start:b.Ends[i]]
}

// Reset empties b and keeps its memory.
func (b *Body) Reset() { b.Buf, b.Ends = b.Buf[:0], b.Ends[:0] }

// Outcome is what became of one item.
type Outcome struct {
	Item      int    // its number in the body
	Duplicate bool   // a document of that id was there
	Refused   *Error // the mapper's or the document's error: it can never be indexed
}

// Retry says how often and how patiently items that may still succeed are sent again.
type Retry struct {
	Attempts int
	Base     time.Duration
	Max      time.Duration
}

// DefaultRetry is about a minute of patience inside one call; the machine's own retries come on top.
var DefaultRetry = Retry{Attempts: 6, Base: 500 * time.Millisecond, Max: 15 * time.Second}

// Bulk sends the items of b ("create" and "update" actions). exceptions gets the items that were not simply done; items that
// answered 429 or 5xx, and nothing else, are sent again. What remains after all attempts is an error: Siem.Partial when
// some items went through, else the kind of what stood in the way.
func (c *Client) Bulk(ctx context.Context, b *Body, retry Retry, exceptions func(Outcome) error) error {
	todo := make([]int, len(b.Ends))
	for i := range todo {
		todo[i] = i
	}
	buf := b.Buf
	for attempt := 1; ; attempt++ {
		left, cause, err := c.bulk(ctx, buf, todo, exceptions)
		if err != nil {
			switch fault.Of(err) {
			case fault.Throttled, fault.Unavailable:
				left, cause = todo, err
			case fault.BadInput, fault.NotFound: // of the request as a whole: what we sent is wrong, not a document
				return fault.New(fault.Bug, "bulk: %w", err)
			default:
				return err
			}
		}
		if len(left) == 0 {
			return nil
		}
		if attempt >= retry.Attempts || ctx.Err() != nil {
			if len(left) < len(b.Ends) {
				return fault.New(fault.Partial, "bulk: %d of %d items left after %d attempts: %w", len(left), len(b.Ends), attempt, cause)
			}
			return fmt.Errorf("bulk: nothing written after %d attempts: %w", attempt, cause)
		}
		if err := pause(ctx, retry, attempt); err != nil {
			return fault.New(fault.Unavailable, "bulk: %w", cause)
		}
		if len(left) < len(todo) {
			buf = nil
			for _, i := range left {
				buf = append(buf, b.Item(i)...)
			}
		}
		todo = left
	}
}

// pause waits with full jitter.
func pause(ctx context.Context, r Retry, attempt int) error {
	d := min(r.Base<<(attempt-1), r.Max)
	t := time.NewTimer(d/10 + rand.N(d))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

type bulkItem struct {
	Status int    `json:"status"`
	Error  *Error `json:"error"`
}

// bulk sends buf, the items todo of a body, once. left are those worth sending again, and cause what one of them said.
func (c *Client) bulk(ctx context.Context, buf []byte, todo []int, exceptions func(Outcome) error) (left []int, cause, err error) {
	var answer struct {
		Errors bool `json:"errors"`
		Items  []struct {
			Create *bulkItem `json:"create"`
			Update *bulkItem `json:"update"`
		} `json:"items"`
	}
	if err := c.Do(ctx, http.MethodPost, "/_bulk?filter_path=errors,items.*.status,items.*.error", buf, &answer); err != nil {
		return nil, nil, err
	}
	if len(answer.Items) != len(todo) {
		return nil, nil, fault.New(fault.Bug, "bulk: %d items sent, %d answered", len(todo), len(answer.Items))
	}
	if !answer.Errors {
		return nil, nil, nil
	}
	for n, it := range answer.Items {
		item := cmp.Or(it.Create, it.Update)
		if item == nil {
			return nil, nil, fault.New(fault.Bug, "bulk: item %d is answered with neither create nor update", n)
		}
		if item.Error == nil {
			continue
		}
		if item.Status == http.StatusConflict && item.Error.Type == "version_conflict_engine_exception" {
			if err := exceptions(Outcome{Item: todo[n], Duplicate: true}); err != nil {
				return nil, nil, err
			}
			continue
		}
		if item.Error.Type == "document_missing_exception" {
			continue // an update of what the mapper refused before
		}
		kind := Kind(item.Status, item.Error)
		switch kind {
		case fault.BadInput:
			if err := exceptions(Outcome{Item: todo[n], Refused: item.Error}); err != nil {
				return nil, nil, err
			}
		case fault.Throttled, fault.Unavailable:
			left = append(left, todo[n])
			cause = fault.New(kind, "%d %s", item.Status, item.Error)
		case fault.NotFound:
			return nil, nil, fault.New(fault.Bug, "bulk item: %d %s", item.Status, item.Error)
		default:
			return nil, nil, fault.New(kind, "bulk item: %d %s", item.Status, item.Error)
		}
	}
	return left, cause, nil
}
