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

// Package pki makes certificates. Of a standalone server: a certificate authority of its own, a serving certificate, and a client
// certificate for the administrator, made once, in a folder, and made again only where they no longer fit (Ensure).
package pki

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"k8s.io/utils/clock"
)

const (
	// validity is how long certificates are good for. Nothing outside the folder trusts the authority, so that a short life would
	// only stop servers that nobody restarts.
	validity = 10 * 365 * 24 * time.Hour

	// renewal is how long before their end certificates are made again, at a start of the server.
	renewal = 365 * 24 * time.Hour

	// backdate makes a certificate good on machines whose clock is behind.
	backdate = time.Hour
)

const (
	// AdminUser is the user of the administrator's client certificate.
	AdminUser = "jobserver-admin"

	// AdminGroup is the group of the administrator, whom Kubernetes' authorizers allow everything.
	AdminGroup = "system:masters"
)

// Bundle is all that a server needs.
type Bundle struct {
	// CA is the authority's certificate, in PEM.
	CA []byte
	// Serving proves the server to its clients.
	Serving KeyPair
	// Admin proves the administrator to the server.
	Admin KeyPair
}

// Ensure returns the bundle of folder dir, which is created with mode 0700. What is missing, ends within a year or (the serving
// certificate) doesn't cover all hosts is made again; an authority that exists is kept, for clients trust it. Hosts are DNS names
// and IP addresses. A file that can't be read as what it should be is an error that names it.
func Ensure(dir string, hosts []string, clk clock.PassiveClock) (*Bundle, error) {
	folder, ca, err := open(dir, clk)
	if err != nil {
		return nil, err
	}
	serving, err := folder.serving(ca, hosts)
	if err != nil {
		return nil, err
	}
	admin, err := folder.leaf("admin", ca, nil, func() (*Identity, error) {
		return sign(ca, clk.Now(), validity, &x509.Certificate{
			Subject:     pkix.Name{CommonName: AdminUser, Organization: []string{AdminGroup}},
			KeyUsage:    x509.KeyUsageDigitalSignature,
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		})
	})
	if err != nil {
		return nil, err
	}
	return &Bundle{CA: ca.Cert, Serving: serving.KeyPair, Admin: admin.KeyPair}, nil
}

// AdminFiles are where the administrator's certificate and key are in the folder dir.
func AdminFiles(dir string) (certPath, keyPath string) { return folder{path: dir}.paths("admin") }

// EnsureServing is Ensure for a server that knows its clients by other means: it has no administrator.
func EnsureServing(dir string, hosts []string, clk clock.PassiveClock) (*Bundle, error) {
	folder, ca, err := open(dir, clk)
	if err != nil {
		return nil, err
	}
	serving, err := folder.serving(ca, hosts)
	if err != nil {
		return nil, err
	}
	return &Bundle{CA: ca.Cert, Serving: serving.KeyPair}, nil
}

// open returns the folder with its authority, each made where it is missing.
func open(dir string, clk clock.PassiveClock) (folder, *Identity, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return folder{}, nil, fmt.Errorf("create certificate folder: %w", err)
	}
	f := folder{path: dir, clock: clk}
	ca, err := f.authority()
	return f, ca, err
}

func (f folder) serving(ca *Identity, hosts []string) (*Identity, error) {
	return f.leaf("serving", ca, hosts, func() (*Identity, error) {
		return ca.NewServing("jobserver", hosts, f.clock.Now(), validity)
	})
}

// folder keeps identities as NAME.crt and NAME.key.
type folder struct {
	path  string
	clock clock.PassiveClock
}

func (f folder) authority() (*Identity, error) {
	ca, err := f.load("ca")
	if err != nil || (ca != nil && f.lasts(ca)) {
		return ca, err
	}
	if ca, err = NewAuthority("jobserver-ca", f.clock.Now(), validity); err != nil {
		return nil, err
	}
	return ca, f.store("ca", ca.KeyPair)
}

// leaf returns the stored certificate of that name where it was signed by ca, lasts, and covers hosts; else a new one.
func (f folder) leaf(name string, ca *Identity, hosts []string, issue func() (*Identity, error)) (*Identity, error) {
	stored, err := f.load(name)
	if err != nil {
		return nil, err
	}
	if stored != nil && f.lasts(stored) && stored.SignedBy(ca) && stored.Covers(hosts) {
		return stored, nil
	}
	issued, err := issue()
	if err != nil {
		return nil, err
	}
	return issued, f.store(name, issued.KeyPair)
}

func (f folder) lasts(identity *Identity) bool {
	return f.clock.Now().Add(renewal).Before(identity.Certificate.NotAfter)
}

// load returns nil where the pair isn't there.
func (f folder) load(name string) (*Identity, error) {
	certPath, keyPath := f.paths(name)
	var pair KeyPair
	for _, file := range []struct {
		path    string
		content *[]byte
	}{{certPath, &pair.Cert}, {keyPath, &pair.Key}} {
		content, err := os.ReadFile(file.path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read certificate folder: %w", err)
		}
		*file.content = content
	}
	identity, err := Parse(pair)
	switch {
	case errors.Is(err, errMismatch):
		// Two writes make a pair, and a crash came between them.
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("%s and %s: %w", certPath, keyPath, err)
	}
	return identity, nil
}

func (f folder) paths(name string) (certPath, keyPath string) {
	return filepath.Join(f.path, name+".crt"), filepath.Join(f.path, name+".key")
}

// store writes the key first: a certificate without its key looks like one that was made.
func (f folder) store(name string, pair KeyPair) error {
	certPath, keyPath := f.paths(name)
	if err := WriteFile(keyPath, pair.Key, 0o600); err != nil {
		return err
	}
	return WriteFile(certPath, pair.Cert, 0o644)
}

// WriteFile replaces the file in one step, so that no reader and no crash sees a half of it. A file with the same content is left alone.
func WriteFile(path string, content []byte, mode fs.FileMode) error {
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, content) {
		return nil
	}
	temporary, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = temporary.Write(content)
	err = errors.Join(err, temporary.Chmod(mode), temporary.Sync(), temporary.Close())
	if err == nil {
		err = os.Rename(temporary.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", path, err), os.Remove(temporary.Name()))
	}
	return nil
}
