package fault_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"stepsiem/shared/fault"
)

func api(code string) error { return &smithy.GenericAPIError{Code: code, Message: "no"} }

func status(n int) error {
	return &smithyhttp.ResponseError{Response: &smithyhttp.Response{Response: &http.Response{StatusCode: n}}, Err: errors.New("no")}
}

func TestOf(t *testing.T) {
	for _, c := range []struct {
		err  error
		want fault.Kind
	}{
		{nil, ""},
		{errors.New("what"), fault.Bug},
		{fault.New(fault.Conflict, "held"), fault.Conflict},
		{fmt.Errorf("write index: %w", fault.New(fault.Partial, "half")), fault.Partial},
		{fault.New(fault.Bug, "lost work: %w", fault.New(fault.NotFound, "gone")), fault.Bug}, // the outermost says
		{fault.New(fault.Unavailable, "%w", api("AccessDenied")), fault.Unavailable},
		{api("NoSuchKey"), fault.NotFound},
		{api("NoSuchVersion"), fault.NotFound},
		{api("AccessDenied"), fault.Denied},
		{api("ExpiredTokenException"), fault.Denied},
		{api("SlowDown"), fault.Throttled},
		{api("ThrottlingException"), fault.Throttled},
		{api("InternalError"), fault.Unavailable},
		{api("KeyTooLongError"), fault.BadInput},
		{api("ValidationException"), fault.Bug},
		{fmt.Errorf("get: %w", status(503)), fault.Unavailable},
		{status(429), fault.Throttled},
		{status(403), fault.Denied},
		{status(404), fault.NotFound},
		{status(400), fault.Bug},
		{context.DeadlineExceeded, fault.Unavailable},
		{context.Canceled, fault.Unavailable},
		{&net.OpError{Op: "dial", Err: errors.New("connection refused")}, fault.Unavailable},
		{&smithyhttp.RequestSendError{Err: errors.New("broken pipe")}, fault.Unavailable},
		{&fs.PathError{Op: "open", Path: "x", Err: fs.ErrNotExist}, fault.NotFound},
		{fs.ErrPermission, fault.Denied},
	} {
		if got := fault.Of(c.err); got != c.want {
			t.Errorf("%v: %s, want %s", c.err, got, c.want)
		}
		if c.err != nil && !slices.Contains(fault.Kinds(), fault.Of(c.err)) {
			t.Errorf("%v: %s is in no list", c.err, fault.Of(c.err))
		}
	}
}

func TestOfStatus(t *testing.T) {
	for n, want := range map[int]fault.Kind{200: "", 301: "", 400: "", 401: fault.Denied, 403: fault.Denied, 404: fault.NotFound, 408: fault.Unavailable,
		409: "", 429: fault.Throttled, 500: fault.Unavailable, 502: fault.Unavailable, 503: fault.Unavailable, 504: fault.Unavailable} {
		if got, ok := fault.OfStatus(n); got != want || ok != (want != "") {
			t.Errorf("%d: %q %v, want %q", n, got, ok, want)
		}
	}
}

func TestWrapping(t *testing.T) {
	cause := errors.New("reset")
	if err := fault.New(fault.Unavailable, "read x: %w", cause); !errors.Is(err, cause) || err.Error() != "read x: reset" {
		t.Error(err)
	}
}

// TestTable: CONTRIBUTING.md tells of every kind, in order, and of no other.
func TestTable(t *testing.T) {
	text, err := os.ReadFile("../../CONTRIBUTING.md")
	if err != nil {
		t.Fatal(err)
	}
	var told []fault.Kind
	for _, m := range regexp.MustCompile("(?m)^\\| `(Siem\\.\\w+)` \\|").FindAllSubmatch(text, -1) {
		told = append(told, fault.Kind(m[1]))
	}
	if !slices.Equal(told, fault.Kinds()) {
		t.Errorf("CONTRIBUTING.md has %v, want %v", told, fault.Kinds())
	}
}
