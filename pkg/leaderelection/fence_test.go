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

package leaderelection_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/jobserver-dev/jobserver/pkg/leaderelection"
)

// TestFenceOfTheServer lets requests of a term lie about, as in the socket of a frozen process, and reads them when it is over.
func TestFenceOfTheServer(t *testing.T) {
	t.Parallel()
	e := newElectorate(t)
	only := e.stand(t, "only", e.client, long, nil)
	first := requestOf(t, only.waitTerm(t))

	during := make(chan error)
	served := false
	fenced := only.Fence(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		served = true
		if request.URL.Path == "/slow" {
			during <- nil
			<-request.Context().Done()
			during <- context.Cause(request.Context())
		}
	}), func(w http.ResponseWriter, _ *http.Request, err error) {
		if !errors.Is(err, leaderelection.ErrDeposed) {
			t.Errorf("refused with error %v, want %v", err, leaderelection.ErrDeposed)
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	check := func(what string, request *http.Request, want int) {
		t.Helper()
		served = false
		answer := httptest.NewRecorder()
		fenced.ServeHTTP(answer, request)
		if answer.Code != want || served != (want == http.StatusOK) {
			t.Errorf("%s: answered %d, served: %t; want %d", what, answer.Code, served, want)
		}
	}
	none := httptest.NewRequest(http.MethodPost, "/", http.NoBody)
	other := httptest.NewRequest(http.MethodPost, "/", http.NoBody)
	other.Header.Set(leaderelection.TermHeader, "another")
	check("of the term", first, http.StatusOK)
	check("of no term", none, http.StatusOK)
	check("of another replica's term", other, http.StatusServiceUnavailable)

	slow := first.Clone(t.Context())
	slow.URL.Path = "/slow"
	go fenced.ServeHTTP(httptest.NewRecorder(), slow)
	<-during
	if _, err := e.client.Delete(t.Context(), "/test/election/", clientv3.WithPrefix()); err != nil {
		t.Fatal(err)
	}
	if err := <-during; !errors.Is(err, leaderelection.ErrDeposed) {
		t.Errorf("a request under way ended with %v, want %v", err, leaderelection.ErrDeposed)
	}
	second := requestOf(t, only.waitTerm(t))
	check("of the term before", first, http.StatusServiceUnavailable)
	check("of the second term", second, http.StatusOK)
	check("of no term, after an election", none, http.StatusOK)
}

// requestOf returns a request as it arrives at a server that was sent one in the term.
func requestOf(t *testing.T, term *leaderelection.Term) *http.Request {
	t.Helper()
	var arrived *http.Request
	transport := term.Wrap(roundTripper(func(request *http.Request) (*http.Response, error) {
		arrived = httptest.NewRequest(request.Method, request.URL.Path, http.NoBody)
		arrived.Header = request.Header.Clone()
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
	}))
	response, err := transport.RoundTrip(httptest.NewRequest(http.MethodPost, "/", http.NoBody))
	if err != nil {
		t.Fatal(err)
	}
	if err := response.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return arrived
}
