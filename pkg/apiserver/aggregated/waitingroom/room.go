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

// Package waitingroom answers on the API's port while the API can't be served yet: the process lives, it is not ready, and why.
//
// Without it the port would be closed for as long as the cluster, etcd or a decision of an operator is waited for. Whoever looks after the process
// would take it for dead and start it again, in ever longer intervals, and the cluster could not say why the API is not available.
package waitingroom

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jobserver-dev/jobserver/pkg/pki"
)

const (
	// leaveTimeout is how long answers under way may take when the room is left.
	leaveTimeout = 2 * time.Second

	readTimeout = 10 * time.Second

	// ownValidity is how long the certificate is good that is shown before there is a better one. Only who checks none accepts it, as probes do.
	ownValidity = 10 * 365 * 24 * time.Hour

	// ownHost is the name that it is for. The cluster's API server, which refuses it, says so in the condition of the APIService: it is all that can be
	// told there.
	ownHost = "jobserver-is-starting"
)

// Room answers until it is left.
type Room struct {
	door   *door
	server *http.Server
	served chan error

	mu          sync.Mutex
	reason      string
	certificate func() (*tls.Certificate, error)
	own         *tls.Certificate
}

// Open begins to answer on a listener, which is the Room's from then on. reason is what is waited for.
func Open(listener net.Listener, reason string) (*Room, error) {
	authority, err := pki.NewAuthority("jobserver-starting", time.Now(), ownValidity)
	if err != nil {
		return nil, err
	}
	identity, err := authority.NewServing("jobserver-starting", []string{ownHost}, time.Now(), ownValidity)
	if err != nil {
		return nil, err
	}
	own, err := tls.X509KeyPair(identity.Cert, identity.Key)
	if err != nil {
		return nil, fmt.Errorf("make the certificate of a start: %w", err)
	}
	r := &Room{door: newDoor(listener), served: make(chan error, 1), reason: reason, own: &own}
	r.server = &http.Server{
		Handler:           http.HandlerFunc(r.answer),
		ReadHeaderTimeout: readTimeout,
		TLSConfig:         &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: r.getCertificate},
		ErrorLog:          log.New(io.Discard, "", 0), // who hangs up during a handshake is no news
	}
	go func() { r.served <- r.server.ServeTLS(r.door.waiting, "", "") }()
	return r, nil
}

// Say changes what is waited for. Everybody can read it.
func (r *Room) Say(reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reason = reason
}

// Show changes the certificate that is shown. Where get fails, it is a certificate that nobody trusts.
func (r *Room) Show(get func() (*tls.Certificate, error)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.certificate = get
}

func (r *Room) getCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	r.mu.Lock()
	get := r.certificate
	r.mu.Unlock()
	if get != nil {
		if certificate, err := get(); err == nil {
			return certificate, nil
		}
	}
	return r.own, nil
}

// Next is the listener of the server that follows. It gets connections once the Room was left, and whoever has it closes it.
func (r *Room) Next() net.Listener { return r.door.serving }

// Leave ends the answers. No connection is refused in between: those that come meanwhile wait for the server that follows.
func (r *Room) Leave() error {
	r.door.open()
	ctx, cancel := context.WithTimeout(context.Background(), leaveTimeout)
	defer cancel()
	if err := r.server.Shutdown(ctx); err != nil {
		// Who has not got an answer by now asks again.
		if err := r.server.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			return fmt.Errorf("leave the waiting room: %w", err)
		}
	}
	<-r.served
	return nil
}

// Close ends the answers, if the Room was not left, and closes the listener.
func (r *Room) Close() error {
	err := r.door.Close()
	if closeErr := r.server.Close(); closeErr != nil && !errors.Is(closeErr, net.ErrClosed) {
		err = errors.Join(err, closeErr)
	}
	return err
}

func (r *Room) answer(w http.ResponseWriter, request *http.Request) {
	r.mu.Lock()
	reason := r.reason
	r.mu.Unlock()
	w.Header().Set("X-Content-Type-Options", "nosniff")
	switch request.URL.Path {
	case "/livez":
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		write(w, http.StatusOK, []byte("ok"))
	case "/readyz", "/healthz":
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		write(w, http.StatusServiceUnavailable, fmt.Appendf(nil, "[-]start %s\n%s check failed\n", reason, request.URL.Path[1:]))
	default:
		status, err := json.Marshal(metav1.Status{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
			Status:   metav1.StatusFailure,
			Reason:   metav1.StatusReasonServiceUnavailable,
			Code:     http.StatusServiceUnavailable,
			Message:  "jobserver is starting: " + reason,
		})
		if err != nil {
			status = nil
		}
		w.Header().Set("Content-Type", "application/json")
		// No Retry-After: clients that are told to come back wait for it, and all that matters is to give an answer at once.
		write(w, http.StatusServiceUnavailable, status)
	}
}

func write(w http.ResponseWriter, code int, body []byte) {
	w.WriteHeader(code)
	_, _ = w.Write(body) // who hung up needs no answer
}
