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

package crash

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

// api calls a server as its administrator.
type api struct {
	url    string
	client *http.Client
}

// endpoint is where an API is served: by one server, or by several of which any will do.
type endpoint interface {
	api() (*api, error)
}

// api implements endpoint with the administrator's kubeconfig, which the server writes.
func (s *server) api() (*api, error) {
	kubeconfig, err := os.ReadFile(filepath.Join(s.dataDir, "admin.kubeconfig"))
	if err != nil {
		return nil, err
	}
	data := func(name string) []byte {
		found := regexp.MustCompile(name + "-data: (\\S+)").FindSubmatch(kubeconfig)
		if found == nil {
			return nil
		}
		decoded, _ := base64.StdEncoding.DecodeString(string(found[1])) // it shows below where it is damaged
		return decoded
	}
	certificate, err := tls.X509KeyPair(data("client-certificate"), data("client-key"))
	if err != nil {
		return nil, fmt.Errorf("the administrator's kubeconfig: %w", err)
	}
	authorities := x509.NewCertPool()
	authorities.AppendCertsFromPEM(data("certificate-authority"))
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{Certificates: []tls.Certificate{certificate}, RootCAs: authorities}, DisableKeepAlives: true,
	}
	return &api{url: fmt.Sprintf("https://127.0.0.1:%d", s.port), client: &http.Client{Transport: transport, Timeout: 20 * time.Second}}, nil
}

// statusError is an answer that is none of success.
type statusError struct {
	code int
	body string
}

func (e *statusError) Error() string { return fmt.Sprintf("%d: %s", e.code, e.body) }

// call makes one request. Where into is not nil, the answer is decoded into it, or copied where it is a string.
func (a *api) call(ctx context.Context, method, path, body string, into any) (int, error) {
	request, err := http.NewRequestWithContext(ctx, method, a.url+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Content-Type", "application/json")
	if method == "PATCH" {
		request.Header.Set("Content-Type", "application/merge-patch+json")
	}
	response, err := a.client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err
	}
	if response.StatusCode >= 300 {
		return response.StatusCode, &statusError{response.StatusCode, string(answer)}
	}
	if text, ok := into.(*string); ok {
		*text = string(answer)
		return response.StatusCode, nil
	}
	if into != nil {
		return response.StatusCode, json.Unmarshal(answer, into)
	}
	return response.StatusCode, nil
}

// text reads what is no object.
func (a *api) text(ctx context.Context, path string) (string, error) {
	var text string
	_, err := a.call(ctx, "GET", path, "", &text)
	return text, err
}

// insist makes a request again and again until the server has an answer to it, as somebody does whose server is killed every other second.
// An object that exists already, or is gone already, is the trace of an earlier try.
func insist(ctx context.Context, e endpoint, method, path, body string, into any) error {
	for {
		a, err := e.api()
		code := 0
		if err == nil {
			code, err = a.call(ctx, method, path, body, into)
		}
		switch {
		case err == nil:
			return nil
		case method == "POST" && code == http.StatusConflict, method == "DELETE" && code == http.StatusNotFound:
			return nil
		case code != 0 && code < 500 && code != http.StatusTooManyRequests && code != http.StatusConflict && code != http.StatusForbidden:
			return fmt.Errorf("%s %s: %w", method, path, err) // forbidden: the namespace is not known yet
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s %s: %w, last %w", method, path, ctx.Err(), err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// job is what is read of a Job.
type job struct {
	Metadata struct {
		Name              string
		Finalizers        []string
		DeletionTimestamp *time.Time
	}
	Spec struct {
		Suspend *bool
	}
	Status struct {
		Active, Ready, Terminating, Succeeded, Failed int
		CompletedIndexes, FailedIndexes               string
		Conditions                                    []struct{ Type, Status, Reason, Message string }
		UncountedTerminatedPods                       struct{ Succeeded, Failed []string }
	}
}

// ended returns how the Job has ended, and why; empty strings where it has not.
func (j job) ended() (condition, reason string) {
	for _, c := range j.Status.Conditions {
		if c.Status == "True" && (c.Type == "Complete" || c.Type == "Failed") {
			return c.Type, c.Reason
		}
	}
	return "", ""
}

// pod is what is read of a Pod.
type pod struct {
	Metadata struct {
		Name       string
		Labels     map[string]string
		Finalizers []string
	}
	Spec   struct{ NodeName string }
	Status struct{ Phase string }
}

const namespace = "/namespaces/default"

func readJobs(ctx context.Context, e endpoint) (map[string]job, error) {
	var list struct{ Items []job }
	err := insist(ctx, e, "GET", "/apis/batch/v1"+namespace+"/jobs", "", &list)
	jobs := map[string]job{}
	for _, one := range list.Items {
		jobs[one.Metadata.Name] = one
	}
	return jobs, err
}

// readPods returns the Pods by the names of their Jobs.
func readPods(ctx context.Context, e endpoint) (map[string][]pod, error) {
	var list struct{ Items []pod }
	err := insist(ctx, e, "GET", "/api/v1"+namespace+"/pods", "", &list)
	pods := map[string][]pod{}
	for _, one := range list.Items {
		owner := one.Metadata.Labels["job-name"]
		pods[owner] = append(pods[owner], one)
	}
	return pods, err
}
