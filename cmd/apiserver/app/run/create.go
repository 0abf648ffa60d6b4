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

package run

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	restclient "k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
)

const (
	fieldManager = "apiserver-run"

	readyInterval = 20 * time.Millisecond
	readyTimeout  = time.Minute
)

// waitReady waits until every part of the server works.
func waitReady(ctx context.Context, client kubernetes.Interface) error {
	err := wait.PollUntilContextTimeout(ctx, readyInterval, readyTimeout, true, func(ctx context.Context) (bool, error) {
		return client.CoreV1().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error() == nil, nil
	})
	if err != nil {
		return fmt.Errorf("wait for the server to be ready: %w", err)
	}
	return nil
}

// creator creates objects of any kind that the server serves.
type creator struct {
	client dynamic.Interface
	kube   kubernetes.Interface
	mapper meta.RESTMapper
}

func newCreator(config *restclient.Config, kube kubernetes.Interface) (*creator, error) {
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	groups, err := restmapper.GetAPIGroupResources(kube.Discovery())
	if err != nil {
		return nil, fmt.Errorf("ask the server what it serves: %w", err)
	}
	return &creator{client: client, kube: kube, mapper: restmapper.NewDiscoveryRESTMapper(groups)}, nil
}

// jobKey finds a Job among those of a run.
type jobKey struct {
	UID types.UID
	// Name is namespace/name, or the name alone in the default namespace.
	Name string
}

// create creates the objects in order and returns the Jobs among them. Namespaces that the objects name and none of them is are
// created first: a throw-away server has no others. Fields that the server doesn't know are an error, as with kubectl.
func (c *creator) create(ctx context.Context, objects []Object) ([]jobKey, error) {
	if err := c.createNamespaces(ctx, objects); err != nil {
		return nil, err
	}
	var jobs []jobKey
	for _, object := range objects {
		kind := object.GroupVersionKind()
		mapping, err := c.mapper.RESTMapping(kind.GroupKind(), kind.Version)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", object.Source, err)
		}
		created, err := c.resource(mapping, object).Create(ctx, object.Unstructured, metav1.CreateOptions{
			FieldManager:    fieldManager,
			FieldValidation: metav1.FieldValidationStrict,
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", object.Source, err)
		}
		if isJob(kind.GroupKind()) {
			jobs = append(jobs, jobKey{UID: created.GetUID(), Name: displayName(created)})
		}
	}
	return jobs, nil
}

func (c *creator) resource(mapping *meta.RESTMapping, object Object) dynamic.ResourceInterface {
	if mapping.Scope.Name() == meta.RESTScopeNameRoot {
		return c.client.Resource(mapping.Resource)
	}
	return c.client.Resource(mapping.Resource).Namespace(namespaceOf(object))
}

func (c *creator) createNamespaces(ctx context.Context, objects []Object) error {
	missing := sets.New[string]()
	for _, object := range objects {
		missing.Insert(namespaceOf(object))
	}
	for _, object := range objects {
		if object.GroupVersionKind() == corev1.SchemeGroupVersion.WithKind("Namespace") {
			missing.Delete(object.GetName())
		}
	}
	for _, name := range sets.List(missing) {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		_, err := c.kube.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{FieldManager: fieldManager})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("create namespace %s: %w", name, err)
		}
	}
	return nil
}

func namespaceOf(object metav1.Object) string {
	if namespace := object.GetNamespace(); namespace != "" {
		return namespace
	}
	return metav1.NamespaceDefault
}

// isJob is true for a Job of either group: each sees the other's.
func isJob(kind schema.GroupKind) bool {
	return kind.Kind == "Job" && (kind.Group == "batch" || kind.Group == "batch.jobserver.dev")
}

func displayName(object metav1.Object) string {
	if namespace := namespaceOf(object); namespace != metav1.NamespaceDefault {
		return namespace + "/" + object.GetName()
	}
	return object.GetName()
}
