package local

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestProxy(t *testing.T) {
	bulk := regexp.MustCompile(`^/_bulk`)
	const whole = "200 served /_bulk?x=1"
	for _, c := range []struct {
		name  string
		rules []Rule
		want  []string // of equal requests in turn: status and body, or "cut" and what came before
		reach int      // requests that the server sees
	}{
		{"no rule", nil, []string{whole}, 1},
		{"other method", []Rule{{Method: "GET", Status: 500}}, []string{whole}, 1},
		{"other path", []Rule{{Path: regexp.MustCompile("^/other"), Status: 500}}, []string{whole}, 1},
		{"answer", []Rule{{Path: bulk, Status: 429, Body: "slow"}}, []string{"429 slow", "429 slow"}, 0},
		{"second request", []Rule{{Method: "POST", Path: bulk, Skip: 1, Times: 1, Status: 503}}, []string{whole, "503 ", whole}, 2},
		{"first acting rule", []Rule{{Times: 1, Status: 500}, {Times: 2, Status: 502}}, []string{"500 ", "502 ", whole}, 1},
		{"drop", []Rule{{Drop: true}}, []string{"cut "}, 0},
		{"cut before the status", []Rule{{Cut: true}}, []string{"cut "}, 1},
		{"cut in the body", []Rule{{Cut: true, CutAfter: 6}}, []string{"cut served"}, 1},
		{"cut after the body", []Rule{{Cut: true, CutAfter: 17}}, []string{whole}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			var reached atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				reached.Add(1)
				fmt.Fprint(w, "served ", r.URL.RequestURI())
			}))
			defer server.Close()
			p, err := NewProxy(server.URL)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			p.Set(c.rules...)
			for i, want := range c.want {
				if got := post(p.URL + "/_bulk?x=1"); got != want {
					t.Errorf("request %d: %q, want %q", i+1, got, want)
				}
			}
			if n := int(reached.Load()); n != c.reach {
				t.Errorf("%d requests reached the server, want %d", n, c.reach)
			}
			for i := range c.rules {
				if matched := !strings.HasPrefix(c.name, "other"); matched != (p.Seen(i) == len(c.want)) {
					t.Errorf("rule %d saw %d requests", i, p.Seen(i))
				}
			}
		})
	}
}

func TestProxyChanges(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	p, err := NewProxy(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	p.Set(Rule{Delay: 50 * time.Millisecond, Status: 200})
	begin := time.Now()
	if got := post(p.URL); got != "200 " || time.Since(begin) < 50*time.Millisecond {
		t.Errorf("%q after %s", got, time.Since(begin))
	}
	p.Set()
	if got := post(p.URL); !strings.HasPrefix(got, "404") {
		t.Errorf("without rules: %q", got)
	}
	server.Close()
	if got := post(p.URL); got != "cut " {
		t.Errorf("without a server: %q", got)
	}
}

// post posts and says what came back.
func post(url string) string {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // and so without retries
	resp, err := client.Post(url, "", strings.NewReader("{}"))
	if err != nil {
		return "cut "
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return "cut " + string(body)
	}
	return fmt.Sprintf("%d %s", resp.StatusCode, body)
}
