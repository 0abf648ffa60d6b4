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

package framework

import (
	"bytes"
	"io"
	"net/http"
	"testing"
)

// Request is a request that no client library would send.
type Request struct {
	Method string
	// Path is the path with the query.
	Path   string
	Header map[string]string
	Body   []byte
}

// Response is the answer to a Request.
type Response struct {
	Code   int
	Header http.Header
	Body   []byte
}

// Do sends a request as the administrator, as it stands. It fails the test only where no answer comes.
func (s *Server) Do(t testing.TB, request Request) Response {
	t.Helper()
	sent, err := http.NewRequestWithContext(t.Context(), request.Method, s.config.Host+request.Path, bytes.NewReader(request.Body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range request.Header {
		sent.Header.Set(name, value)
	}
	answer, err := s.http.Do(sent)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return Response{Code: answer.StatusCode, Header: answer.Header, Body: body}
}
