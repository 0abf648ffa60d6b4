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

package backend

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"time"

	"github.com/jobserver-dev/jobserver/pkg/apiserver"
)

const (
	// diagnoseTimeout bounds the look at one server.
	diagnoseTimeout = 3 * time.Second

	// refusalTimeout is how long a server may take to refuse a certificate that it has got. In TLS 1.3 the connection is made before that.
	refusalTimeout = time.Second
)

// diagnose tells for each server that no connection can be made to why that is so. A server that takes the connection is not mentioned.
func diagnose(store apiserver.Etcd) error {
	config, err := store.TLS()
	if err != nil {
		return err
	}
	var all error
	for _, server := range store.Servers {
		address, err := url.Parse(server)
		if err != nil || (address.Scheme != "http" && address.Scheme != "https") {
			continue // a socket of this machine
		}
		switch err := connect(address, config); {
		case err == nil:
		case all == nil:
			all = fmt.Errorf("%s: %w", server, err)
		default:
			all = fmt.Errorf("%w; %s: %w", all, server, err) // in one line of the log
		}
	}
	return all
}

// connect makes a connection and waits for a moment whether the server refuses it.
func connect(address *url.URL, config *tls.Config) error {
	ctx, cancel := context.WithTimeout(context.Background(), diagnoseTimeout)
	defer cancel()
	var conn net.Conn
	var err error
	if address.Scheme == "http" {
		conn, err = (&net.Dialer{}).DialContext(ctx, "tcp", address.Host)
	} else {
		conn, err = (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", address.Host)
	}
	if err != nil {
		return err
	}
	if err := conn.SetReadDeadline(time.Now().Add(refusalTimeout)); err != nil {
		return errors.Join(err, conn.Close())
	}
	_, err = conn.Read(make([]byte, 1))
	_ = conn.Close() // it has served its purpose
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	return err
}
