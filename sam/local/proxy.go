package local

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"regexp"
	"sync"
	"time"
)

// Rule is a fault that a Proxy makes of the requests it matches. Without Status, Drop and Cut a request is only delayed.
type Rule struct {
	Method string         // "" matches every method
	Path   *regexp.Regexp // of the path and query; nil matches all
	Skip   int            // so many matching requests pass before the rule acts
	Times  int            // then it acts on so many; 0: on all

	Delay  time.Duration // before anything else
	Status int           // answer this with Body; the server never sees the request
	Body   string
	Drop   bool // close the connection; the server never sees the request
	Cut    bool // the server answers, but the connection is closed after CutAfter bytes of its body, if it is longer
	// CutAfter 0 closes before the status line: the caller cannot know what the server did.
	CutAfter int
}

// Proxy stands on a loopback port in front of a server, so that a test reaches states that a healthy server never shows.
// The Host header goes through unchanged, and with it the signature of a request.
type Proxy struct {
	URL string

	server  *http.Server
	reverse *httputil.ReverseProxy
	mu      sync.Mutex
	rules   []Rule
	seen    []int // matching requests, by rule
}

// NewProxy starts a proxy without rules in front of the server at target.
func NewProxy(target string) (*Proxy, error) {
	u, err := url.Parse(target)
	if err != nil {
		return nil, fmt.Errorf("start proxy: %w", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start proxy: %w", err)
	}
	p := &Proxy{URL: "http://" + l.Addr().String()}
	p.reverse = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(u)
			r.Out.Host = r.In.Host
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }, // a dead server: no answer
	}
	p.server = &http.Server{Handler: p}
	go p.server.Serve(l) // ends with Close
	return p, nil
}

// Close ends the proxy and its connections.
func (p *Proxy) Close() error { return p.server.Close() }

// Set replaces all rules and begins to count anew. The first rule that acts on a request decides.
func (p *Proxy) Set(rules ...Rule) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules, p.seen = rules, make([]int, len(rules))
}

// Seen is how many requests the i-th rule matched, acted on or not.
func (p *Proxy) Seen(i int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen[i]
}

// rule finds the rule that acts on r; every rule that matches counts it.
func (p *Proxy) rule(r *http.Request) (found Rule) {
	p.mu.Lock()
	defer p.mu.Unlock()
	acting := false
	for i, rule := range p.rules {
		if rule.Method != "" && rule.Method != r.Method || rule.Path != nil && !rule.Path.MatchString(r.URL.RequestURI()) {
			continue
		}
		p.seen[i]++
		n := p.seen[i] - rule.Skip
		if !acting && n > 0 && (rule.Times == 0 || n <= rule.Times) {
			acting, found = true, rule
		}
	}
	return found
}

// ServeHTTP lets a request through to the server, or what the rules make of it.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rule := p.rule(r)
	select {
	case <-time.After(rule.Delay):
	case <-r.Context().Done():
	}
	switch {
	case rule.Drop:
		panic(http.ErrAbortHandler) // how net/http is told to close the connection
	case rule.Status != 0:
		w.WriteHeader(rule.Status)
		io.WriteString(w, rule.Body)
	case rule.Cut:
		p.reverse.ServeHTTP(&cutWriter{ResponseWriter: w, left: rule.CutAfter}, r)
	default:
		p.reverse.ServeHTTP(w, r)
	}
}

// cutWriter closes the connection when left bytes of the body are written and there are more.
type cutWriter struct {
	http.ResponseWriter
	left int
}

func (c *cutWriter) WriteHeader(status int) {
	if c.left == 0 {
		panic(http.ErrAbortHandler)
	}
	c.ResponseWriter.WriteHeader(status)
}

func (c *cutWriter) Write(b []byte) (int, error) {
	if len(b) <= c.left {
		c.left -= len(b)
		return c.ResponseWriter.Write(b)
	}
	c.ResponseWriter.Write(b[:c.left])
	http.NewResponseController(c.ResponseWriter).Flush()
	panic(http.ErrAbortHandler)
}
