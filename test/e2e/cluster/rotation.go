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
	"bytes"
	"fmt"
	"os"
)

// Authorities for clients, by the names of their files.
const (
	ClientAuthority     = "client-ca"
	FrontProxyAuthority = "front-proxy-ca"
)

// IssueClient issues a client certificate by one of the authorities for clients. It is in the PKI's folder by its name.
func (c *Cluster) IssueClient(issuer, name string, groups ...string) error {
	from, err := c.clientAuthority(issuer)
	if err != nil {
		return err
	}
	return (*from).issue(c.CertificatePath(name), name, groups, nil)
}

// IssueServing issues a serving certificate for hosts by the authority of the API server's own, ca.crt.
func (c *Cluster) IssueServing(name string, hosts ...string) error {
	return c.certs.serving.issue(c.CertificatePath(name), name, nil, hosts)
}

// AddAuthority makes a second authority for the purpose of one: the file has both, and certificates are issued by the new one. The API server
// notices by itself.
func (c *Cluster) AddAuthority(name string) error {
	current, err := c.clientAuthority(name)
	if err != nil {
		return err
	}
	before, err := os.ReadFile(c.CertificatePath(name + ".crt"))
	if err != nil {
		return err
	}
	next, err := newAuthority(c.path("pki"), name)
	if err != nil {
		return err
	}
	*current = next
	after, err := os.ReadFile(c.CertificatePath(name + ".crt"))
	if err != nil {
		return err
	}
	return c.replaceFile(name+".crt", bytes.Join([][]byte{before, after}, nil))
}

// DropEarlierAuthorities leaves only the authority in the file that certificates are issued by now.
func (c *Cluster) DropEarlierAuthorities(name string) error {
	current, err := c.clientAuthority(name)
	if err != nil {
		return err
	}
	return c.replaceFile(name+".crt", encodePEM("CERTIFICATE", (*current).cert.Raw))
}

// replaceFile changes a file of the PKI at once: nobody reads half of it.
func (c *Cluster) replaceFile(name string, content []byte) error {
	temporary := c.CertificatePath("." + name)
	if err := os.WriteFile(temporary, content, 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, c.CertificatePath(name))
}

func (c *Cluster) clientAuthority(name string) (**authority, error) {
	known := map[string]**authority{ClientAuthority: &c.certs.clients, FrontProxyAuthority: &c.certs.frontProxy}
	found, ok := known[name]
	if !ok {
		return nil, fmt.Errorf("there is no authority %q for clients", name)
	}
	return found, nil
}
