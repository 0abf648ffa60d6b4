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

package inprocess

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// patience bounds every wait of a test. It is only reached by a test that fails.
const patience = 20 * time.Second

func newClient(t *testing.T, handler http.HandlerFunc) (*http.Client, *Transport) {
	t.Helper()
	transport := New()
	t.Cleanup(transport.Close)
	transport.Serve(handler)
	return &http.Client{Transport: transport}, transport
}

func newRequest(t *testing.T, ctx context.Context, method, body string) *http.Request {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, method, "https://server.example:6443/api/v1/pods?watch=1&limit=5", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer token")
	return request
}

func wait(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("gave up waiting for %s", what)
	}
}

// shown is what of an answer a client goes by.
type shown struct {
	Status int
	Text   string
	Header http.Header
	Length int64
	Body   string
	Failed bool
}

func show(t *testing.T, client *http.Client, request *http.Request) shown {
	t.Helper()
	response, err := client.Do(request)
	if err != nil {
		return shown{Failed: true}
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	response.Header.Del("Date")
	return shown{response.StatusCode, response.Status, response.Header, response.ContentLength, string(body), err != nil}
}

// TestAsOverHTTP2 holds the transport to what a real server and a real client make of the same handlers.
func TestAsOverHTTP2(t *testing.T) {
	handlers := map[string]http.HandlerFunc{
		"echo": func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%s %s %s %q %v, token %q, HTTP %d, from a plain path: %t, query %q", r.Method, r.RequestURI, r.Host, body, err, r.Header.Get("Authorization"),
				r.ProtoMajor, r.URL.Host == "" && r.URL.Scheme == "", r.URL.Query().Get("limit"))
		},
		"status without a body": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
		},
		"header after the status": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			w.WriteHeader(http.StatusCreated)
			w.Header().Set("X-Late", "1")
			w.WriteHeader(http.StatusTeapot)
			_, _ = io.WriteString(w, "created")
		},
		"flushed": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			_, _ = io.WriteString(w, "one ")
			w.(http.Flusher).Flush()
			_, _ = io.WriteString(w, "two")
		},
		"longer than the buffer": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			for range 100 {
				_, _ = w.Write(bytes.Repeat([]byte("0123456789abcdef"), 4<<10))
			}
		},
		"aborted before the answer": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"aborted within the answer": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			_, _ = io.WriteString(w, "half of")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		},
		"hurried on": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			w.WriteHeader(http.StatusEarlyHints)
			_, _ = io.WriteString(w, "done")
		},
	}
	for name, handler := range handlers {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewUnstartedServer(handler)
			server.EnableHTTP2 = true
			server.StartTLS()
			t.Cleanup(server.Close)
			there := newRequest(t, t.Context(), "PUT", "body")
			there.Host, there.URL.Host = there.URL.Host, server.Listener.Addr().String()
			want := show(t, server.Client(), there)

			client, _ := newClient(t, handler)
			got := show(t, client, newRequest(t, t.Context(), "PUT", "body"))
			// A server that writes a content type of its own accord guesses it; ours leaves that to the handler. Short answers are of a known length.
			if name == "echo" {
				want.Header.Del("Content-Type")
			}
			want.Header.Del("Content-Length")
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("answer, -over HTTP/2 +in the process:\n%s", diff)
			}
		})
	}
}

func TestReceived(t *testing.T) {
	client, _ := newClient(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, Received(r)) })
	if got := show(t, client, newRequest(t, t.Context(), "GET", "")); got.Body != "true" {
		t.Errorf("a request of this process: received %q", got.Body)
	}
	if Received(newRequest(t, t.Context(), "GET", "")) {
		t.Error("a request that is not sent yet counts as received")
	}
}

func TestRequestsWaitForTheServer(t *testing.T) {
	transport := New()
	t.Cleanup(transport.Close)
	client := &http.Client{Transport: transport}
	givingUp, giveUp := context.WithCancelCause(t.Context())
	because := errors.New("because")
	given := make(chan error, 1)
	go func() {
		_, err := client.Do(newRequest(t, givingUp, "GET", ""))
		given <- err
	}()
	answered := make(chan shown, 1)
	go func() { answered <- show(t, client, newRequest(t, t.Context(), "GET", "")) }()
	giveUp(because)
	if err := <-given; !errors.Is(err, because) {
		t.Errorf("a request that was given up failed with %v, want %v", err, because)
	}
	select {
	case got := <-answered:
		t.Fatalf("answered before there was a server: %+v", got)
	default:
	}
	transport.Serve(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	if got := <-answered; got.Body != "hello" || got.Failed {
		t.Errorf("answer: %+v", got)
	}
}

// TestStream checks that a watch gets each piece when it is flushed, and that the handler learns when the client has enough.
func TestStream(t *testing.T) {
	next, ended := make(chan string), make(chan struct{})
	client, _ := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		for {
			w.(http.Flusher).Flush()
			select {
			case piece := <-next:
				if _, err := io.WriteString(w, piece); err != nil {
					t.Errorf("write: %v", err)
				}
			case <-r.Context().Done():
				if _, err := io.WriteString(w, "too late"); err == nil {
					t.Error("a write after the client had closed the body succeeded")
				}
				if err := context.Cause(r.Context()); !errors.Is(err, errBodyClosed) {
					t.Errorf("the handler's context ended with %v", err)
				}
				return
			}
		}
	})
	response, err := client.Do(newRequest(t, t.Context(), "GET", ""))
	if err != nil {
		t.Fatal(err)
	}
	for _, piece := range []string{"first", "second"} {
		next <- piece
		got := make([]byte, len(piece))
		if _, err := io.ReadFull(response.Body, got); err != nil || string(got) != piece {
			t.Fatalf("read %q, %v, want %q", got, err, piece)
		}
	}
	if err := response.Body.Close(); err != nil {
		t.Error(err)
	}
	wait(t, "the handler's end", ended)
	if _, err := response.Body.Read(make([]byte, 1)); !errors.Is(err, http.ErrBodyReadAfterClose) {
		t.Errorf("read of a closed body: %v", err)
	}
}

// TestGivingUp checks that the end of the client's context ends the handler and a read that waits, each with the reason.
func TestGivingUp(t *testing.T) {
	type key struct{}
	ended := make(chan struct{})
	client, _ := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		if value := r.Context().Value(key{}); value != nil {
			t.Errorf("the handler sees %v in the client's context", value)
		}
		gone := w.(interface{ CloseNotify() <-chan bool }).CloseNotify()
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		<-gone
	})
	because := errors.New("because")
	ctx, cancel := context.WithCancelCause(context.WithValue(t.Context(), key{}, "a value"))
	response, err := client.Do(newRequest(t, ctx, "GET", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	cancel(because)
	if _, err := response.Body.Read(make([]byte, 1)); !errors.Is(err, because) {
		t.Errorf("read: %v, want %v", err, because)
	}
	wait(t, "the handler's end", ended)
}

// TestGivingUpBeforeTheAnswer checks that nothing is read of the request's body once RoundTrip has returned, though the handler goes on.
func TestGivingUpBeforeTheAnswer(t *testing.T) {
	begun, goOn, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	client, _ := newClient(t, func(_ http.ResponseWriter, r *http.Request) {
		defer close(ended)
		close(begun)
		<-goOn
		if _, err := io.ReadAll(r.Body); !errors.Is(err, http.ErrBodyReadAfterClose) {
			t.Errorf("read of the request's body: %v", err)
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-begun
		cancel()
	}()
	if _, err := client.Do(newRequest(t, ctx, "POST", "body")); !errors.Is(err, context.Canceled) {
		t.Errorf("the request failed with %v", err)
	}
	close(goOn)
	wait(t, "the handler's end", ended)
}

// TestSlowReader checks that a handler doesn't run ahead of its reader without end.
func TestSlowReader(t *testing.T) {
	written := make(chan int, 100)
	client, _ := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		for piece := make([]byte, maxBuffered/4); r.Context().Err() == nil; {
			n, _ := w.Write(piece)
			written <- n
		}
	})
	response, err := client.Do(newRequest(t, t.Context(), "GET", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	// The answer began when the buffer was full: four pieces are written, and the fifth is not before something is read.
	if len(written) != 4 {
		t.Fatalf("%d pieces were written into a full buffer", len(written))
	}
	if _, err := io.ReadFull(response.Body, make([]byte, maxBuffered)); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		select {
		case <-written:
		case <-time.After(patience):
			t.Fatal("the handler does not go on when there is room again")
		}
	}
}

func TestClose(t *testing.T) {
	ended := make(chan struct{})
	client, transport := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	response, err := client.Do(newRequest(t, t.Context(), "GET", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	transport.Close()
	transport.Close()
	if _, err := io.ReadAll(response.Body); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("the read that waited failed with %v", err)
	}
	wait(t, "the handler's end", ended)
	if _, err := client.Do(newRequest(t, t.Context(), "GET", "")); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a request after the end failed with %v", err)
	}
}

// BenchmarkRoundTrip is what the way there and back costs for a small answer.
func BenchmarkRoundTrip(b *testing.B) {
	answer := bytes.Repeat([]byte("x"), 2000)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = w.Write(answer)
	})
	transport := New()
	defer transport.Close()
	transport.Serve(handler)
	server := httptest.NewUnstartedServer(handler)
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	for _, way := range []struct {
		name, url string
		client    *http.Client
	}{
		{"in the process", "https://server.example", &http.Client{Transport: transport}},
		{"HTTP2 with TLS", server.URL, server.Client()},
	} {
		b.Run(way.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				response, err := way.client.Post(way.url, "application/json", bytes.NewReader(answer))
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadAll(response.Body); err != nil {
					b.Fatal(err)
				}
				_ = response.Body.Close()
			}
		})
	}
}
