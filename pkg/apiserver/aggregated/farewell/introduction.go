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

package farewell

import (
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"time"
)

// introductionTimeout is how long the server may take for its first request. Without an introduction it serves as it would have.
const introductionTimeout = 10 * time.Second

// introduction is a listener whose first connection comes from this process.
type introduction struct {
	net.Listener
	farewell *Farewell
	once     sync.Once
	first    net.Conn
}

// Accept implements net.Listener.
func (i *introduction) Accept() (net.Conn, error) {
	i.once.Do(func() {
		var ours net.Conn
		i.first, ours = net.Pipe()
		go ask(ours)
	})
	if first := i.first; first != nil {
		i.first = nil // Accept has one caller
		return first, nil
	}
	select {
	case <-i.farewell.introduced:
	case <-time.After(introductionTimeout):
	}
	return i.Listener.Accept()
}

// ask sends a request over a connection. Neither its answer nor who gives it matters.
func ask(raw net.Conn) {
	_ = raw.SetDeadline(time.Now().Add(introductionTimeout)) // a pipe has deadlines
	conn := tls.Client(raw, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12})
	request, err := http.NewRequest(http.MethodGet, "https://localhost/livez", nil)
	if err == nil {
		request.Close = true
		if request.Write(conn) == nil {
			_, _ = conn.Read(make([]byte, 1))
		}
	}
	_ = raw.Close()
}
