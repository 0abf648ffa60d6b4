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

package waitingroom

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jobserver-dev/jobserver/pkg/pki"
)

func open(t *testing.T) (*Room, string, *http.Client) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	room, err := Open(listener, "waiting for etcd")
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}}
	t.Cleanup(client.CloseIdleConnections)
	return room, "https://" + listener.Addr().String(), client
}

func get(t *testing.T, client *http.Client, url string) (*http.Response, string) {
	t.Helper()
	response, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	room, url, client := open(t)
	t.Cleanup(func() {
		if err := room.Close(); err != nil {
			t.Error(err)
		}
	})
	if response, body := get(t, client, url+"/livez"); response.StatusCode != 200 || body != "ok" {
		t.Errorf("livez: %d %q", response.StatusCode, body)
	}
	if response, body := get(t, client, url+"/readyz?verbose"); response.StatusCode != 503 || !strings.Contains(body, "[-]start waiting for etcd\n") {
		t.Errorf("readyz: %d %q", response.StatusCode, body)
	}
	room.Say("waiting for a decision")
	response, body := get(t, client, url+"/apis/batch.jobserver.dev/v1/jobs")
	var status metav1.Status
	if err := json.Unmarshal([]byte(body), &status); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	if response.StatusCode != 503 || response.Header.Get("Retry-After") != "" || status.Reason != metav1.StatusReasonServiceUnavailable ||
		status.Message != "jobserver is starting: waiting for a decision" {
		t.Errorf("a request for Jobs: %d %v %s", response.StatusCode, response.Header, body)
	}
}

func TestShowsTheCertificate(t *testing.T) {
	t.Parallel()
	room, url, client := open(t)
	t.Cleanup(func() {
		if err := room.Close(); err != nil {
			t.Error(err)
		}
	})
	response, _ := get(t, client, url+"/livez")
	// Who checks it learns why it is none of his.
	if err := response.TLS.PeerCertificates[0].VerifyHostname("jobserver.jobserver-system.svc"); err == nil || !strings.Contains(err.Error(), "valid for jobserver-is-starting") {
		t.Errorf("the certificate that nobody is to trust: %v", err)
	}
	identity, err := pki.NewAuthority("better", time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	room.Show(func() (*tls.Certificate, error) {
		pair, err := tls.X509KeyPair(identity.Cert, identity.Key)
		return &pair, err
	})
	client.CloseIdleConnections()
	response, _ = get(t, client, url+"/livez")
	if got := response.TLS.PeerCertificates[0].Subject.CommonName; got != "better" {
		t.Errorf("certificate of %q", got)
	}
}

// TestLeave: while requests come without a pause the next server takes the port over, and none of them fails.
func TestLeave(t *testing.T) {
	t.Parallel()
	room, url, client := open(t)
	identity, err := pki.NewAuthority("next", time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(identity.Cert, identity.Key)
	if err != nil {
		t.Fatal(err)
	}
	next := http.Server{
		Handler:   http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }),
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}},
	}
	var callers sync.WaitGroup
	for range 4 {
		callers.Go(func() {
			for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
				response, err := client.Get(url + "/apis")
				if err != nil {
					t.Error(err)
					return
				}
				_ = response.Body.Close()
				if response.StatusCode == http.StatusTeapot {
					return
				}
			}
			t.Error("the next server never answered")
		})
	}
	get(t, client, url+"/apis")
	if err := room.Leave(); err != nil {
		t.Fatal(err)
	}
	listener := room.Next()
	served := make(chan error, 1)
	go func() { served <- next.ServeTLS(listener, "", "") }()
	callers.Wait()
	if err := next.Close(); err != nil {
		t.Error(err)
	}
	<-served
	if conn, err := net.Dial("tcp", listener.Addr().String()); err == nil {
		_ = conn.Close()
		t.Error("the port is open after its server was closed")
	}
}
