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

package aggregated

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	restclient "k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
)

// How long to wait before the cluster is asked again at a start: from the first to the last wait.
const (
	firstHostRetry = 100 * time.Millisecond
	lastHostRetry  = 5 * time.Second
)

// authenticationConfigMap says whom a cluster's API server vouches for, and by which certificates it is known.
const authenticationConfigMap = "extension-apiserver-authentication"

// host is the cluster that the server belongs to. All clients for it come from here.
type host struct {
	config *restclient.Config
}

// newHost loads the kubeconfig; an empty path stands for the cluster that the process runs in. qps is the rate of requests that each part of the
// server may hold up, burst how many may go beyond it for a moment; a negative qps sets no limit.
func newHost(kubeconfig string, qps float32, burst int) (*host, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("find the cluster: %w", err)
	}
	config.QPS, config.Burst = qps, burst
	return &host{config: config}, nil
}

// client returns the configuration of a client for the part of the server that is called name. It speaks protobuf where the API does.
func (h *host) client(name string) *restclient.Config {
	config := restclient.CopyConfig(h.config)
	config.UserAgent = restclient.DefaultKubernetesUserAgent() + "/" + name
	config.ContentType = "application/vnd.kubernetes.protobuf"
	config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	return config
}

// jsonClient is client for APIs that know no protobuf.
func (h *host) jsonClient(name string) *restclient.Config {
	config := h.client(name)
	config.ContentType, config.AcceptContentTypes = "application/json", ""
	return config
}

// wait returns once the cluster says whom to trust. Without that nobody could be served, and whoever looks after the process gains nothing
// by starting it again. The error is that of ctx.
func (h *host) wait(ctx context.Context) error {
	hostClient, err := kubernetes.NewForConfig(h.client("apiserver"))
	if err != nil {
		return err
	}
	return retry(ctx, "Waiting for the cluster's API server", func(ctx context.Context) error {
		_, err := hostClient.CoreV1().ConfigMaps(metav1.NamespaceSystem).Get(ctx, authenticationConfigMap, metav1.GetOptions{})
		if apierrors.IsForbidden(err) {
			err = fmt.Errorf("%w; bind the role extension-apiserver-authentication-reader of kube-system", err)
		}
		return err
	})
}

// retry calls f until it returns nil, and logs why it has to wait, once for each reason. The error is that of ctx.
func retry(ctx context.Context, message string, f func(context.Context) error) error {
	last := ""
	backoff := wait.Backoff{Duration: firstHostRetry, Factor: 2, Jitter: 0.1, Steps: 1 << 30, Cap: lastHostRetry}
	for {
		err := f(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err.Error() != last {
			last = err.Error()
			klog.FromContext(ctx).Info(message, "err", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(min(backoff.Step(), lastHostRetry)):
		}
	}
}
