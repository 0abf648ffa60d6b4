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

package pod

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	genericrest "k8s.io/apiserver/pkg/registry/generic/rest"
	"k8s.io/apiserver/pkg/registry/rest"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/kubernetes/pkg/apis/core"
	corev1conversion "k8s.io/kubernetes/pkg/apis/core/v1"
	"k8s.io/kubernetes/pkg/apis/core/validation"
	"k8s.io/kubernetes/pkg/features"
	"k8s.io/kubernetes/pkg/kubelet/client"
	upstream "k8s.io/kubernetes/pkg/registry/core/pod"
)

var (
	_ rest.GetterWithOptions = &LogREST{}
	_ rest.StorageMetadata   = &LogREST{}
	_ rest.ResourceStreamer  = &logStream{}
)

// LogSource opens a container's log. The node agent implements it.
type LogSource interface {
	// OpenLog returns the log of a container of pod. The caller has validated opts and made sure that pod has the
	// container and is bound to a node. What opts ask for is all the source's to honour: previous, follow, tailLines,
	// sinceSeconds, sinceTime, timestamps, limitBytes, stream.
	//
	// With follow, reading ends when the container does. The reader must allow Close while a Read waits, and end that
	// Read: the caller closes it once, at the latest when ctx ends. A nil reader stands for no log and answers 204.
	// An error that is an apierrors.APIStatus, wrapped or not, is answered as it is, any other as 500.
	OpenLog(ctx context.Context, pod *corev1.Pod, container string, opts *corev1.PodLogOptions) (io.ReadCloser, error)
}

// LogREST serves pods/log: the text of one container's output.
type LogREST struct {
	pods rest.Getter
	logs Logs
}

// Logs say where logs come from.
type Logs struct {
	// Source has the logs of LocalNode, or of every node where that is empty. Nil: it has none.
	Source    LogSource
	LocalNode string
	// Kubelets have the logs of all other nodes. Nil: there are none.
	Kubelets client.ConnectionInfoGetter
}

// New returns an empty Pod: a log has no kind of its own.
func (r *LogREST) New() runtime.Object { return &core.Pod{} }

// Destroy does nothing: the store belongs to the kind's REST.
func (r *LogREST) Destroy() {}

// NewGetOptions returns empty PodLogOptions, to be filled from the query. The path below /log means nothing.
func (r *LogREST) NewGetOptions() (runtime.Object, bool, string) {
	return &core.PodLogOptions{}, false, ""
}

// ProducesMIMETypes says that a log is plain text.
func (r *LogREST) ProducesMIMETypes(string) []string { return []string{"text/plain"} }

// ProducesObject says that an answer is a string, for OpenAPI.
func (r *LogREST) ProducesObject(string) any { return "" }

// OverrideMetricsVerb counts reads of logs as CONNECT: as long as they last, they would spoil the latencies of GET.
func (r *LogREST) OverrideMetricsVerb(verb string) string {
	if verb == "GET" {
		return "CONNECT"
	}
	return verb
}

// Get returns a stream of the Pod's log that opens once it is asked for. Invalid options answer 422, an unclear or
// unknown container 400, a server without logs 503. The log of a Pod that no node has taken yet is empty.
func (r *LogREST) Get(ctx context.Context, name string, options runtime.Object) (runtime.Object, error) {
	opts, ok := options.(*core.PodLogOptions)
	if !ok {
		return nil, fmt.Errorf("the options of a log are of type %T, not PodLogOptions", options)
	}
	split := utilfeature.DefaultFeatureGate.Enabled(features.PodLogsQuerySplitStreams)
	if split && opts.Stream == nil {
		opts.Stream = new(core.LogStreamAll) // defaulting doesn't run on a query without parameters
	}
	if errs := validation.ValidatePodLogOptions(opts, split); len(errs) > 0 {
		return nil, apierrors.NewInvalid(core.Kind("PodLogOptions"), name, errs)
	}
	obj, err := r.pods.Get(ctx, name, &metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	pod := obj.(*core.Pod)
	container, err := resolveContainer(pod, opts.Container)
	if err != nil {
		return nil, err
	}
	stream := &logStream{source: r.logs.Source, container: container}
	switch node := pod.Spec.NodeName; {
	case node == "":
		stream.source = noLog{}
	case r.logs.LocalNode != "" && node != r.logs.LocalNode, stream.source == nil && r.logs.Kubelets != nil:
		return r.remote(ctx, name, opts)
	case stream.source == nil:
		return nil, apierrors.NewServiceUnavailable("this server runs no node agent, so it has no logs of containers")
	}
	if err := corev1conversion.Convert_core_Pod_To_v1_Pod(pod, &stream.pod, nil); err != nil {
		return nil, fmt.Errorf("converting Pod %s: %w", name, err)
	}
	if err := corev1conversion.Convert_core_PodLogOptions_To_v1_PodLogOptions(opts, &stream.opts, nil); err != nil {
		return nil, fmt.Errorf("converting the options of the log of Pod %s: %w", name, err)
	}
	return stream, nil
}

// remote returns a stream from the kubelet of another node.
func (r *LogREST) remote(ctx context.Context, name string, opts *core.PodLogOptions) (runtime.Object, error) {
	location, transport, err := upstream.LogLocation(ctx, r.pods, r.logs.Kubelets, name, opts)
	if err != nil {
		return nil, err
	}
	return &genericrest.LocationStreamer{
		Location: location, Transport: transport, ContentType: "text/plain", Flush: opts.Follow,
		ResponseChecker: genericrest.NewGenericHttpResponseChecker(core.Resource("pods/log"), name),
		RedirectChecker: genericrest.PreventRedirects,
	}, nil
}

// noLog is the source of a Pod that isn't bound: nothing has run, so there is nothing to read.
type noLog struct{}

func (noLog) OpenLog(context.Context, *corev1.Pod, string, *corev1.PodLogOptions) (io.ReadCloser, error) {
	return nil, nil
}

// logStream is the answer to one request for a log. It passes for an object, as the endpoint's handler needs it to.
type logStream struct {
	source    LogSource
	pod       corev1.Pod
	container string
	opts      corev1.PodLogOptions
}

// GetObjectKind says that a stream has no kind.
func (s *logStream) GetObjectKind() schema.ObjectKind { return schema.EmptyObjectKind }

// DeepCopyObject returns a stream of the same log.
func (s *logStream) DeepCopyObject() runtime.Object {
	return &logStream{source: s.source, pod: *s.pod.DeepCopy(), container: s.container, opts: *s.opts.DeepCopy()}
}

// InputStream opens the log. Each piece of a followed log is flushed to the client at once.
func (s *logStream) InputStream(ctx context.Context, _, _ string) (io.ReadCloser, bool, string, error) {
	reader, err := s.source.OpenLog(ctx, &s.pod, s.container, &s.opts)
	if err != nil {
		return nil, false, "", logError(err)
	}
	if reader == nil {
		return nil, false, "", nil
	}
	return closeWith(ctx, reader), s.opts.Follow, "text/plain", nil
}

// logError returns the status inside err, which the API's error writer would not look for, or an internal error.
func logError(err error) error {
	var status *apierrors.StatusError
	if errors.As(err, &status) {
		return status
	}
	return apierrors.NewInternalError(err)
}

// requestReader is a reader that ends with a request.
type requestReader struct {
	io.Reader
	close func() error
	stop  func() bool
}

// closeWith returns a reader that is closed, exactly once, by its own Close or by the end of ctx. Without the latter a
// client that leaves would keep a follow of a silent container, and its goroutine, until the container speaks.
func closeWith(ctx context.Context, r io.ReadCloser) io.ReadCloser {
	once := sync.OnceValue(r.Close)
	return &requestReader{Reader: r, close: once, stop: context.AfterFunc(ctx, func() { _ = once() })}
}

// Close closes the log.
func (r *requestReader) Close() error {
	r.stop()
	return r.close()
}
