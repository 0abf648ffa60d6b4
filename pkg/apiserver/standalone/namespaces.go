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

package standalone

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"
)

// systemNamespaces exist from the first start on and can't be deleted.
var systemNamespaces = []string{metav1.NamespaceDefault, metav1.NamespaceSystem, corev1.NamespaceNodeLease}

// namespacesHook names the start-up step, which readyz shows as poststarthook/start-system-namespaces.
const namespacesHook = "start-system-namespaces"

// namespaceRetry is how long to wait after a failed attempt: the server has only just begun to serve.
const namespaceRetry = 100 * time.Millisecond

// createSystemNamespaces returns the start-up step that makes the namespaces that are missing; the server is ready after it.
func createSystemNamespaces(client kubernetes.Interface) genericapiserver.PostStartHookFunc {
	return func(hook genericapiserver.PostStartHookContext) error {
		logger := klog.FromContext(hook)
		for _, name := range systemNamespaces {
			err := wait.PollUntilContextCancel(hook, namespaceRetry, true, func(ctx context.Context) (bool, error) {
				err := createNamespace(ctx, client, name)
				if err != nil {
					logger.V(2).Info("Retrying to create a system namespace", "namespace", name, "err", err)
				}
				return err == nil, nil
			})
			if hook.Err() != nil {
				// The server stops before it was ready. An error would end the process on the spot, with etcd still open.
				return nil
			}
			if err != nil {
				return fmt.Errorf("create namespace %s: %w", name, err)
			}
		}
		return nil
	}
}

func createNamespace(ctx context.Context, client kubernetes.Interface, name string) error {
	namespaces := client.CoreV1().Namespaces()
	_, err := namespaces.Get(ctx, name, metav1.GetOptions{})
	if !apierrors.IsNotFound(err) {
		return err
	}
	_, err = namespaces.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}
