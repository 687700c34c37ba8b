// Package fault is the closed list of error kinds. Every error that leaves a task has exactly one kind; the machines
// decide by its name what is retried, what is set aside and what stops an execution.
package fault

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"strings"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Kind is the error name that Step Functions sees.
type Kind string

// The whole list; statemachines/ and their tests name no other.
const (
	BadInput    Kind = "Siem.BadInput"    // can never be processed: set aside, the batch goes on
	NotFound    Kind = "Siem.NotFound"    // a landing object is gone: set aside, the batch goes on
	Throttled   Kind = "Siem.Throttled"   // 429, SlowDown: retried with backoff
	Unavailable Kind = "Siem.Unavailable" // 5xx, network, deadline near, shard limit: retried for half an hour
	Conflict    Kind = "Siem.Conflict"    // somebody else holds it: retried at long intervals
	Partial     Kind = "Siem.Partial"     // some items are still to be done: retried
	Outage      Kind = "Siem.Outage"      // unavailable for longer than the outage patience: stops the execution where it is
	Denied      Kind = "Siem.Denied"      // authentication or policy: stops the execution where it is
	Bug         Kind = "Siem.Bug"         // unclassified, panic: stops the execution where it is
)

// Kinds lists every kind in the order of the table in CONTRIBUTING.md.
func Kinds() []Kind {
	return []Kind{BadInput, NotFound, Throttled, Unavailable, Conflict, Partial, Outage, Denied, Bug}
}

type failure struct {
	kind Kind
	err  error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// New makes an error of a kind from a format, which may wrap with %w.
func New(k Kind, format string, args ...any) error {
	return &failure{k, fmt.Errorf(format, args...)}
}

// Of finds the kind of err: the outermost that was stated, else what the AWS SDK, the network or the context say.
// It is "" for nil and Bug for anything it does not know.
func Of(err error) Kind {
	if err == nil {
		return ""
	}
	var f *failure
	if errors.As(err, &f) {
		return f.kind
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		if k, ok := ofCode(api.ErrorCode()); ok {
			return k
		}
	}
	var resp *smithyhttp.ResponseError
	if errors.As(err, &resp) {
		if k, ok := OfStatus(resp.HTTPStatusCode()); ok {
			return k
		}
	}
	var ne net.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled), errors.As(err, &ne):
		return Unavailable
	case errors.Is(err, fs.ErrNotExist):
		return NotFound
	case errors.Is(err, fs.ErrPermission):
		return Denied
	}
	var send *smithyhttp.RequestSendError
	if errors.As(err, &send) {
		return Unavailable
	}
	return Bug
}

// OfStatus is the kind that an HTTP status alone tells; ok is false where it tells none.
func OfStatus(status int) (k Kind, ok bool) {
	switch {
	case status == http.StatusTooManyRequests:
		return Throttled, true
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return Denied, true
	case status == http.StatusNotFound:
		return NotFound, true
	case status == http.StatusRequestTimeout, status >= 500:
		return Unavailable, true
	}
	return "", false
}

func ofCode(code string) (Kind, bool) {
	switch code {
	case "NoSuchKey", "NoSuchVersion", "NotFound", "NoSuchBucket":
		return NotFound, true
	case "AccessDenied", "AccessDeniedException", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken",
		"ExpiredTokenException", "UnrecognizedClientException", "InvalidClientTokenId", "AuthFailure", "UnauthorizedOperation":
		return Denied, true
	case "SlowDown", "RequestLimitExceeded", "TooManyRequestsException", "ProvisionedThroughputExceededException", "RequestThrottled":
		return Throttled, true
	case "InternalError", "ServiceUnavailable", "RequestTimeout", "InternalServerException":
		return Unavailable, true
	case "InvalidArgument", "KeyTooLongError", "InvalidBucketName":
		return BadInput, true
	}
	return Throttled, strings.HasPrefix(code, "Throttl")
}
