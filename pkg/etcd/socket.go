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

package etcd

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
)

// maxSocketPath is the longest path that the kernel binds a Unix socket to, without the final zero byte.
const maxSocketPath = 107

// sockets returns the addresses of the client's and the peer's socket in dir.
func sockets(dir string) (client, peer *url.URL, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("find etcd folder: %w", err)
	}
	clientPath, peerPath := filepath.Join(dir, "client.sock"), filepath.Join(dir, "peer.sock")
	if len(clientPath) > maxSocketPath {
		if clientPath, peerPath, err = shortPaths(dir); err != nil {
			return nil, nil, err
		}
	}
	return &url.URL{Scheme: "unix", Path: clientPath}, &url.URL{Scheme: "unix", Path: peerPath}, nil
}

// shortPaths reaches into a folder with a long path through a descriptor of this process. The descriptor stays open as long as
// the process lives, since the paths are only good for that long.
func shortPaths(dir string) (client, peer string, err error) {
	folder, err := os.Open(dir)
	if err != nil {
		return "", "", fmt.Errorf("open etcd folder: %w", err)
	}
	keepOpen = append(keepOpen, folder)
	base := fmt.Sprintf("/proc/self/fd/%d", folder.Fd())
	return base + "/client.sock", base + "/peer.sock", nil
}

// keepOpen holds the folders whose descriptors are part of socket paths, which a finalizer would close.
var keepOpen []*os.File
