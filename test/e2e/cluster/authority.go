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

package cluster

import (
	"os"
	"path/filepath"
)

// Authority issues certificates that are none of the cluster's: those of an etcd of somebody's own, say.
type Authority struct {
	*authority
	dir, name string
}

// NewAuthority makes an authority. Its certificate is the file name.crt in dir, which is made where it is missing.
func NewAuthority(dir, name string) (*Authority, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	made, err := newAuthority(dir, name)
	if err != nil {
		return nil, err
	}
	return &Authority{authority: made, dir: dir, name: name}, nil
}

// PEM is the authority's certificate.
func (a *Authority) PEM() []byte { return encodePEM("CERTIFICATE", a.cert.Raw) }

// Issue writes a certificate and its key to path.crt and path.key: for the hosts if there are any, for a client otherwise.
func (a *Authority) Issue(path, name string, hosts ...string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return a.issue(path, name, nil, hosts)
}
