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

package outage

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"
)

func TestFilter(t *testing.T) {
	t.Parallel()
	clock := clocktesting.NewFakeClock(time.Now())
	exchanged := errors.New("other data")
	m, err := New(Config{
		Ask: func(context.Context) error { return nil }, Final: func(err error) bool { return errors.Is(err, exchanged) }, Clock: clock,
	})
	if err != nil {
		t.Fatal(err)
	}
	handler := m.Filter(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	expect := func(when, path string, want int) {
		t.Helper()
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, path, nil))
		if recorder.Code != want {
			t.Errorf("%s: %s is answered with %d, want %d", when, path, recorder.Code, want)
		}
		if want == 503 && (!strings.Contains(recorder.Body.String(), `"reason":"ServiceUnavailable"`) || recorder.Header().Get("Retry-After") != "") {
			t.Errorf("%s: %v %s", when, recorder.Header(), recorder.Body)
		}
	}
	away := errors.New("away")
	steps := []struct {
		when   string
		passes time.Duration
		answer error
		want   int
	}{
		{"etcd answers", time.Second, nil, http.StatusTeapot},
		{"once it doesn't", time.Second, away, http.StatusTeapot},
		{"nor the next time", 3 * time.Second, away, http.StatusTeapot},
		{"for too long", time.Second, away, http.StatusServiceUnavailable},
		{"for very long", time.Hour, away, http.StatusServiceUnavailable},
		{"it is back", time.Second, nil, http.StatusTeapot},
		{"and away again", time.Second, away, http.StatusTeapot},
		{"what is final needs no patience", time.Second, exchanged, http.StatusServiceUnavailable},
	}
	for _, step := range steps {
		clock.Step(step.passes)
		m.note(t.Context(), step.answer)
		expect(step.when, "/apis/batch.jobserver.dev/v1/jobs", step.want)
		expect(step.when, "/apis/batch.jobserver.dev/v1", step.want)
		expect(step.when, "/readyz", http.StatusTeapot)
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	clock := clocktesting.NewFakeClock(time.Now())
	asked := make(chan struct{})
	m, err := New(Config{Clock: clock, Ask: func(ctx context.Context) error {
		if _, bounded := ctx.Deadline(); !bounded {
			t.Error("a question without a deadline")
		}
		asked <- struct{}{}
		return errors.New("away")
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- m.Run(ctx) }()
	<-asked
	for deadline := time.Now().Add(time.Minute); m.Down() == nil; {
		if time.Now().After(deadline) {
			t.Fatal("it never notices")
		}
		clock.Step(askPeriod)
		select {
		case <-asked:
		case <-time.After(time.Millisecond):
		}
	}
	cancel()
	for {
		select {
		case <-asked:
			continue
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
		}
		return
	}
}
