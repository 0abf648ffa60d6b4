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

package apiserver

import (
	"crypto/tls"
	"fmt"
	"path"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"k8s.io/apiserver/pkg/storage/storagebackend"
)

// DefaultEtcdPrefix is the root of every key, Kubernetes' own default.
const DefaultEtcdPrefix = "/registry"

// How an etcd client of ours finds out that a server doesn't answer.
const (
	etcdDialTimeout      = 5 * time.Second
	etcdKeepAliveTime    = 5 * time.Second
	etcdKeepAliveTimeout = 3 * time.Second
)

// Etcd is where everything is stored, and how it is reached.
type Etcd struct {
	// Servers are the URLs of the etcd cluster's members. At least one.
	Servers []string
	// CAFile is the path of the certificates that those of the servers are checked against. Empty: the machine's.
	CAFile string
	// CertFile and KeyFile are the paths of the client's certificate and its key. Empty: none.
	CertFile, KeyFile string
	// Prefix is the root of every key. Empty: DefaultEtcdPrefix.
	Prefix string
}

func (e Etcd) prefix() string {
	if e.Prefix == "" {
		return DefaultEtcdPrefix
	}
	return path.Join("/", e.Prefix)
}

// ElectionPrefix is the key of the election of that name.
func (e Etcd) ElectionPrefix(name string) string {
	return path.Join(e.prefix(), "jobserver.dev", "elections", name)
}

// LineageKey is the key of the mark that says which data this is, and how far it has come.
func (e Etcd) LineageKey() string {
	return path.Join(e.prefix(), "jobserver.dev", "lineage")
}

// SightingsPrefix is what the keys of what is known of the namespaces of Jobs begin with.
func (e Etcd) SightingsPrefix() string {
	return path.Join(e.prefix(), "jobserver.dev", "namespaces") + "/"
}

// JobsPrefix is what the keys of all Jobs begin with.
func (e Etcd) JobsPrefix() string {
	return path.Join(e.prefix(), "jobs") + "/"
}

// NamespacesPrefix is what the keys of all namespaces begin with, where an API server stores any.
func (e Etcd) NamespacesPrefix() string {
	return path.Join(e.prefix(), "namespaces") + "/"
}

// storageConfig returns the same for k8s.io/apiserver.
func (e Etcd) storageConfig() *storagebackend.Config {
	config := storagebackend.NewDefaultConfig(e.prefix(), nil)
	config.Transport.ServerList = e.Servers
	config.Transport.TrustedCAFile = e.CAFile
	config.Transport.CertFile = e.CertFile
	config.Transport.KeyFile = e.KeyFile
	return config
}

// TLS is what a client shows and trusts; nil where no files are named. The certificate is read again for each connection, so that it can be exchanged; the authorities
// are not.
func (e Etcd) TLS() (*tls.Config, error) {
	if e.CAFile == "" && e.CertFile == "" {
		return nil, nil
	}
	config, err := transport.TLSInfo{TrustedCAFile: e.CAFile, CertFile: e.CertFile, KeyFile: e.KeyFile}.ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("load the certificates for etcd: %w", err)
	}
	return config, nil
}

// Client returns a client. It connects when it is used; the caller closes it.
func (e Etcd) Client() (*clientv3.Client, error) {
	config := clientv3.Config{
		Endpoints:            e.Servers,
		DialTimeout:          etcdDialTimeout,
		DialKeepAliveTime:    etcdKeepAliveTime,
		DialKeepAliveTimeout: etcdKeepAliveTimeout,
		PermitWithoutStream:  true,
		Logger:               zap.NewNop(), // errors are returned
	}
	var err error
	if config.TLS, err = e.TLS(); err != nil {
		return nil, err
	}
	client, err := clientv3.New(config)
	if err != nil {
		return nil, fmt.Errorf("make a client for etcd: %w", err)
	}
	return client, nil
}
