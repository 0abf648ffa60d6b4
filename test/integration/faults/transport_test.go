/*
Copyright 2026 The Jobserver Authors.

Licensed under the Apache License, Version 2.0 (the "License");
you may not use this file except in compliance with the License.
You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software
distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
See the License for the specific language governing permissions and
limitations under the License.
*/

package faults

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"sync"
	"time"
)

// site is a kind of request that the controller makes.
type site struct {
	name   string
	method string
	path   *regexp.Regexp // of path and query
}

var sites = []site{
	{"create Pod", "POST", regexp.MustCompile(`/pods(\?|$)`)},
	{"get Pod", "GET", regexp.MustCompile(`/pods/[^/?]+(\?|$)`)},
	{"patch Pod", "PATCH", regexp.MustCompile(`/pods/[^/?]+(\?|$)`)},
	{"delete Pod", "DELETE", regexp.MustCompile(`/pods/[^/?]+(\?|$)`)},
	{"get Job", "GET", regexp.MustCompile(`/jobs/[^/?]+(\?|$)`)},
	{"update Job status", "PUT", regexp.MustCompile(`/jobs/[^/?]+/status`)},
	{"create event", "POST", regexp.MustCompile(`/events(\?|$)`)},
	{"list or watch Pods", "GET", regexp.MustCompile(`/pods\?`)},
	{"list or watch Jobs", "GET", regexp.MustCompile(`/jobs\?`)},
}

// fault is a way in which a request fails.
type fault struct {
	name string
	// code and reason are the answer; with code 0 there is none, the connection breaks.
	code   int
	reason string
	// done says that the server does what it was asked for all the same.
	done bool
}

var faults = []fault{
	{"conflict", http.StatusConflict, "Conflict", false},
	{"too many requests", http.StatusTooManyRequests, "TooManyRequests", false},
	{"internal error", http.StatusInternalServerError, "InternalError", false},
	{"internal error after the write", http.StatusInternalServerError, "InternalError", true},
	{"time-out before the write", http.StatusGatewayTimeout, "Timeout", false},
	{"time-out after the write", http.StatusGatewayTimeout, "Timeout", true},
	{"broken connection before the write", 0, "", false},
	{"broken connection after the write", 0, "", true},
}

var errBroken = errors.New("the test broke the connection")

// injection fails every other request of a site, a number of times.
type injection struct {
	site  site
	fault fault

	mu   sync.Mutex
	seen int
	hits int
}

// maxHits is how many requests fail. The controller retries for ever, but not at once.
const maxHits = 6

func (i *injection) hit(request *http.Request) bool {
	if request.Method != i.site.method || !i.site.path.MatchString(request.URL.RequestURI()) {
		return false
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.seen++
	if i.seen%2 == 0 || i.hits == maxHits {
		return false
	}
	i.hits++
	return true
}

func (i *injection) count() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.hits
}

// trouble is what a controller's requests meet.
type trouble struct {
	injections []*injection
	// slow is how long each piece of a watch is held up.
	slow time.Duration
}

// wrap fits rest.Config.Wrap.
func (t *trouble) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(request *http.Request) (*http.Response, error) {
		fault := t.fault(request)
		if fault != nil && !fault.done {
			if request.Body != nil {
				_ = request.Body.Close() // as a RoundTripper must
			}
			return fault.answer(request)
		}
		response, err := next.RoundTrip(request)
		if err != nil {
			return nil, err
		}
		if fault != nil {
			_ = response.Body.Close() // nobody gets to see it
			return fault.answer(request)
		}
		if t.slow > 0 && request.URL.Query().Get("watch") != "" {
			response.Body = &slowBody{response.Body, t.slow}
		}
		return response, nil
	})
}

// fault returns how the request fails; nil: it doesn't.
func (t *trouble) fault(request *http.Request) *fault {
	for _, i := range t.injections {
		if i.hit(request) {
			return &i.fault
		}
	}
	return nil
}

// answer is what the controller gets to see.
func (f *fault) answer(request *http.Request) (*http.Response, error) {
	if f.code == 0 {
		return nil, errBroken
	}
	body := fmt.Sprintf(`{"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "the test says so", "reason": %q, "code": %d}`, f.reason, f.code)
	return &http.Response{
		StatusCode: f.code, Status: http.StatusText(f.code), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: request,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader([]byte(body))), ContentLength: int64(len(body)),
	}, nil
}

type roundTripper func(*http.Request) (*http.Response, error)

func (r roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return r(request) }

// slowBody delivers late.
type slowBody struct {
	io.ReadCloser
	delay time.Duration
}

func (b *slowBody) Read(data []byte) (int, error) {
	n, err := b.ReadCloser.Read(data)
	time.Sleep(b.delay)
	return n, err
}
