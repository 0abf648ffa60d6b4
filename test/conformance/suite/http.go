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

package suite

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
)

// Request is a request as it goes over the wire, for what no client library sends.
type Request struct {
	// Method is GET where empty.
	Method string
	// Path is the path with the query. It is taken to be relative to the Jobs of the test's namespace where it doesn't start with /.
	Path string
	// ContentType and Accept are JSON where empty.
	ContentType, Accept string
	Body                []byte
}

// Response is the answer to a Request.
type Response struct {
	Code   int
	Header http.Header
	Body   []byte
}

// JSON reads the body of an answer into a value.
func (t *T) JSON(response Response, into any) {
	if err := json.Unmarshal(response.Body, into); err != nil {
		t.Fatalf("read the answer %d %q: %v", response.Code, response.Body, err)
	}
}

// Do sends a request as it stands.
func (t *T) Do(request Request) Response {
	answer := t.Open(request)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	t.Must(err)
	return Response{Code: answer.StatusCode, Header: answer.Header, Body: body}
}

// Open sends a request and returns the answer before its body has come: for watches. The caller closes the body.
func (t *T) Open(request Request) *http.Response {
	path := request.Path
	if path == "" || path[0] != '/' {
		jobs := t.Target().Jobs
		path = "/apis/" + jobs.Group + "/" + jobs.Version + "/namespaces/" + t.namespace + "/jobs" + sub(path)
	}
	method := request.Method
	if method == "" {
		method = http.MethodGet
	}
	sent, err := http.NewRequestWithContext(t.ctx, method, t.config.Host+path, bytes.NewReader(request.Body))
	t.Must(err)
	sent.Header.Set("Content-Type", orJSON(request.ContentType))
	sent.Header.Set("Accept", orJSON(request.Accept))
	answer, err := t.Target().client.Do(sent)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return answer
}

// sub returns a path below a collection, or a query of it.
func sub(path string) string {
	if path == "" || path[0] == '?' {
		return path
	}
	return "/" + path
}

func orJSON(mediaType string) string {
	if mediaType == "" {
		return "application/json"
	}
	return mediaType
}
