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

package app

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jobserver-dev/jobserver/pkg/datadir"
)

func TestFlagged(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, noFolder := datadir.Open(filepath.Join(file, "folder"))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	_, taken := net.Listen("tcp", listener.Addr().String())
	_, elsewhere := net.Listen("tcp", "192.0.2.77:0") // for documentation: no machine has it
	_, refused := net.Dial("tcp", "127.0.0.1:1")
	for _, tc := range []struct {
		err  error
		want string
	}{
		{noFolder, "--data-dir: create data folder: "},
		{taken, "--secure-port: listen tcp 127.0.0.1:"},
		{elsewhere, "--bind-address: listen tcp 192.0.2.77:0: "},
		{refused, "dial tcp 127.0.0.1:1: "},
		{errors.New("other"), "other"},
	} {
		if tc.err == nil {
			t.Fatalf("no error where one beginning with %q is wanted", tc.want)
		}
		if got := flagged(tc.err); !strings.HasPrefix(got.Error(), tc.want) || !errors.Is(got, tc.err) {
			t.Errorf("got %q, want %q...", got, tc.want)
		}
	}
}
