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

package kubelet

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// containerLogs answers with what a container printed. As with a kubelet, errors are plain text: the API server makes a Status of it.
func (s *server) containerLogs(w http.ResponseWriter, request *http.Request) {
	options, err := logOptions(request.URL.Query())
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	pod := s.pod(w, request)
	if pod == nil {
		return
	}
	container := request.PathValue("container")
	if !hasContainer(pod, container) {
		http.Error(w, fmt.Sprintf("container %q not found in pod %q", container, pod.Name), http.StatusNotFound)
		return
	}
	log, err := s.host.OpenLog(request.Context(), pod, container, options)
	if err != nil {
		var status apierrors.APIStatus
		code := http.StatusInternalServerError
		if errors.As(err, &status) && status.Status().Code != 0 {
			code = int(status.Status().Code)
		}
		http.Error(w, err.Error(), code)
		return
	}
	defer log.Close()
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(http.StatusOK)
	flusher := http.NewResponseController(w)
	// A follower has to see at once that there is a log, even an empty one.
	_ = flusher.Flush()
	// Nobody is left to be told of an error: the connection is cut, and who reads sees that the log isn't whole.
	if _, err := io.Copy(flushWriter{w, flusher}, log); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// flushWriter passes on each write at once.
type flushWriter struct {
	io.Writer
	flusher *http.ResponseController
}

// Write implements io.Writer.
func (w flushWriter) Write(data []byte) (int, error) {
	n, err := w.Writer.Write(data)
	if err == nil {
		err = w.flusher.Flush()
	}
	return n, err
}

// hasContainer tells whether the Pod has a container of that name, of whichever sort.
func hasContainer(pod *corev1.Pod, name string) bool {
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range list {
			if list[i].Name == name {
				return true
			}
		}
	}
	return slices.ContainsFunc(pod.Spec.EphemeralContainers, func(c corev1.EphemeralContainer) bool { return c.Name == name })
}

// logOptions reads the query of a request for a log. The error names the parameter.
func logOptions(query url.Values) (*corev1.PodLogOptions, error) {
	options := &corev1.PodLogOptions{}
	// An old name: "all" means no limit.
	if tail := query.Get("tail"); tail != "" && tail != "all" {
		query.Set("tailLines", tail)
	}
	var errs []error
	for name, target := range map[string]*bool{"follow": &options.Follow, "previous": &options.Previous, "timestamps": &options.Timestamps} {
		if value := query.Get(name); value != "" {
			parsed, err := strconv.ParseBool(value)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %q is neither true nor false", name, value))
			}
			*target = parsed
		}
	}
	for name, target := range map[string]struct {
		value   **int64
		minimum int64
	}{"tailLines": {&options.TailLines, 0}, "limitBytes": {&options.LimitBytes, 1}, "sinceSeconds": {&options.SinceSeconds, 1}} {
		if value := query.Get(name); value != "" {
			parsed, err := strconv.ParseInt(value, 10, 64)
			if err != nil || parsed < target.minimum {
				errs = append(errs, fmt.Errorf("%s: %q is not a whole number of at least %d", name, value, target.minimum))
			}
			*target.value = &parsed
		}
	}
	if value := query.Get("sinceTime"); value != "" {
		parsed, err := time.Parse(time.RFC3339, value)
		if err != nil {
			errs = append(errs, fmt.Errorf("sinceTime: %q is not a time in RFC 3339", value))
		}
		options.SinceTime = &metav1.Time{Time: parsed}
	}
	if options.SinceSeconds != nil && options.SinceTime != nil {
		errs = append(errs, errors.New("sinceSeconds and sinceTime: at most one may be given"))
	}
	if value := query.Get("stream"); value != "" {
		options.Stream = &value
		switch {
		case value != corev1.LogStreamAll && value != corev1.LogStreamStdout && value != corev1.LogStreamStderr:
			errs = append(errs, fmt.Errorf("stream: %q is not one of All, Stdout, Stderr", value))
		case value != corev1.LogStreamAll && options.TailLines != nil:
			errs = append(errs, errors.New("tailLines and a stream other than All: at most one may be given"))
		}
	}
	return options, errors.Join(errs...)
}
