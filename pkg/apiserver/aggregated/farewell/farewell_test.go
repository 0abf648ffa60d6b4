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

package farewell

//lint:file-ignore SA1019 the server is made as k8s.io/apiserver makes it.

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"k8s.io/utils/clock"

	"github.com/jobserver-dev/jobserver/pkg/pki"
)

const timeout = time.Minute

// server is an HTTP/2 server on the loopback as k8s.io/apiserver makes it, introduced to a Farewell.
type server struct {
	*http.Server
	farewell *Farewell
	address  string
	ended    chan error
}

func newServer(t *testing.T, handler http.Handler) *server {
	t.Helper()
	bundle, err := pki.Ensure(t.TempDir(), []string{"127.0.0.1"}, clock.RealClock{})
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(bundle.Serving.Cert, bundle.Serving.Key)
	if err != nil {
		t.Fatal(err)
	}
	farewell, err := New(100)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{farewell: farewell, address: listener.Addr().String(), ended: make(chan error, 1)}
	s.Server = &http.Server{
		Handler:   farewell.Filter(handler),
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2", "http/1.1"}},
		ErrorLog:  log.New(io.Discard, "", 0),
	}
	if err := http2.ConfigureServer(s.Server, &http2.Server{}); err != nil {
		t.Fatal(err)
	}
	go func() { s.ended <- s.Serve(tls.NewListener(farewell.Listen(listener), s.TLSConfig)) }()
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// rawClient speaks HTTP/2 frame by frame.
type rawClient struct {
	*http2.Framer
	conn *tls.Conn
}

func newRawClient(t *testing.T, address string) *rawClient {
	t.Helper()
	conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	c := &rawClient{Framer: http2.NewFramer(conn, conn), conn: conn}
	c.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if err := c.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	return c
}

// post sends a request with a body on a stream.
func (c *rawClient) post(t *testing.T, stream uint32) {
	t.Helper()
	var headers bytes.Buffer
	encoder := hpack.NewEncoder(&headers)
	for _, field := range [][2]string{{":method", "POST"}, {":scheme", "https"}, {":authority", "localhost"}, {":path", "/"}} {
		if err := encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: headers.Bytes(), EndHeaders: true}); err != nil {
		t.Fatal(err)
	}
	if err := c.WriteData(stream, true, []byte("body")); err != nil {
		t.Fatal(err)
	}
}

// until reads frames until one is what is looked for.
func (c *rawClient) until(t *testing.T, found func(http2.Frame) bool) {
	t.Helper()
	for {
		frame, err := c.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if found(frame) {
			return
		}
	}
}

func (c *rawClient) answered(t *testing.T, stream uint32) {
	t.Helper()
	c.until(t, func(frame http2.Frame) bool {
		headers, ok := frame.(*http2.MetaHeadersFrame)
		return ok && headers.StreamID == stream && headers.Fields[0].Value == "200"
	})
}

func (c *rawClient) toldToGo(t *testing.T, lastStream uint32) {
	t.Helper()
	c.until(t, func(frame http2.Frame) bool {
		goAway, ok := frame.(*http2.GoAwayFrame)
		if ok && (goAway.LastStreamID != lastStream || goAway.ErrCode != http2.ErrCodeNo) {
			t.Fatalf("%v, want the last stream %d", goAway, lastStream)
		}
		return ok
	})
}

// TestFarewell: a client is told to go and still gets an answer to what it sends after that; only at the close there is a last request.
func TestFarewell(t *testing.T) {
	t.Parallel()
	s := newServer(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	c := newRawClient(t, s.address)
	c.post(t, 1)
	c.answered(t, 1)
	said := make(chan struct{})
	go func() {
		defer close(said)
		s.farewell.Say()
	}()
	c.toldToGo(t, 1<<31-1)
	c.post(t, 3)
	c.answered(t, 3)
	<-said
	closed := make(chan error, 1)
	go func() { closed <- s.Shutdown(context.Background()) }()
	c.toldToGo(t, 3)
	if _, err := c.ReadFrame(); err == nil {
		t.Error("the connection is not closed")
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if err := <-s.ended; err != http.ErrServerClosed {
		t.Errorf("the server ended: %v", err)
	}
}

// TestLateClient: who comes after the farewell is answered, and told to go at once.
func TestLateClient(t *testing.T) {
	t.Parallel()
	s := newServer(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.farewell.Say()
	c := newRawClient(t, s.address)
	c.toldToGo(t, 1<<31-1)
	c.post(t, 1)
	c.answered(t, 1)
}

// TestGone: a client goes once it has its answers, over a connection that nobody closes.
func TestGone(t *testing.T) {
	t.Parallel()
	asked, answer := make(chan struct{}), make(chan struct{})
	s := newServer(t, http.HandlerFunc(func(_ http.ResponseWriter, request *http.Request) {
		if request.URL.Path == "/wait" {
			close(asked)
			<-answer
		}
	}))
	transport := &http2.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer transport.CloseIdleConnections()
	answered := make(chan error, 1)
	go func() {
		// As a proxy sends it: the body can't be had again.
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+s.address+"/wait", io.NopCloser(strings.NewReader("body")))
		if err != nil {
			answered <- err
			return
		}
		response, err := transport.RoundTrip(request)
		if err == nil {
			err = response.Body.Close()
		}
		answered <- err
	}()
	<-asked
	s.farewell.Say()
	if s.farewell.left() != 1 {
		t.Error("the connection did not wait for its answer")
	}
	close(answer)
	if err := <-answered; err != nil {
		t.Error(err)
	}
	for deadline := time.Now().Add(timeout); s.farewell.left() > 0; {
		if time.Now().After(deadline) {
			t.Fatal("the client does not go")
		}
		time.Sleep(pollPeriod)
	}
}

// TestOtherProtocol: a client of HTTP/1.1 is served as ever.
func TestOtherProtocol(t *testing.T) {
	t.Parallel()
	s := newServer(t, http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) { _, _ = io.WriteString(w, request.Proto) }))
	client := http.Client{Timeout: timeout, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	response, err := client.Get("https://" + s.address)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, err := io.ReadAll(response.Body); err != nil || string(body) != "HTTP/1.1" {
		t.Errorf("%q, %v", body, err)
	}
}

// TestFrames follows frames however they are cut: a frame of ours may stand behind a whole one, and not between headers that belong together.
func TestFrames(t *testing.T) {
	t.Parallel()
	var stream bytes.Buffer
	framer := http2.NewFramer(&stream, nil)
	ends := map[int]bool{} // after so many bytes a frame may stand
	write := func(err error, end bool) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		ends[stream.Len()] = end
	}
	write(framer.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 7}), true)
	write(framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte("abc")}), false)
	write(framer.WriteContinuation(1, false, []byte("def")), false)
	write(framer.WriteContinuation(1, true, []byte("ghi")), true)
	write(framer.WriteData(1, false, make([]byte, 70000>>3)), true)
	write(framer.WriteData(1, true, nil), true)
	write(framer.WritePing(true, [8]byte{}), true)
	content := stream.Bytes()
	for _, size := range []int{1, 2, 8, 9, 10, 4096, len(content)} {
		var f frames
		if f.between() {
			t.Fatal("a frame may stand before the server's first")
		}
		for at := 0; at < len(content); {
			n := min(size, len(content)-at)
			f.pass(content[at : at+n])
			at += n
			if got := f.between(); got != ends[at] {
				t.Fatalf("in pieces of %d, after %d bytes: %t", size, at, got)
			}
		}
	}
}
