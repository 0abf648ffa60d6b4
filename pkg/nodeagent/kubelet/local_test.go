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

package kubelet

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"
)

func TestServeLocal(t *testing.T) {
	t.Parallel()
	local := ServeLocal(NewHandler(&fakeHost{}))
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return local.Dial(ctx) }}}
	response, err := client.Get("http://localhost/containerLogs/ns/pod/main")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, err := io.ReadAll(response.Body); err != nil || string(body) != "log of main\n" {
		t.Errorf("got %q, error %v", body, err)
	}
	if err := local.Close(); err != nil {
		t.Error(err)
	}
	if _, err := local.Dial(t.Context()); err == nil {
		t.Error("connected with one that is closed")
	}
}
