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

package clients

import (
	"context"
	"fmt"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/pager"
	watchtools "k8s.io/client-go/tools/watch"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/jobserver-dev/jobserver/pkg/generated/clientset/versioned"
	"github.com/jobserver-dev/jobserver/pkg/generated/informers/externalversions"
	"github.com/jobserver-dev/jobserver/test/framework"
)

// An informer is one of the caches that client-go can make of the same Jobs.
type informer struct {
	name   string
	cache  cache.SharedIndexInformer
	lister cache.GenericLister
}

// informersOf makes an informer of each sort for the Jobs of a group, and returns what starts them.
func informersOf(t *testing.T, k kind, namespace string) (made []informer, start func(stop <-chan struct{})) {
	t.Helper()
	resource := k.resource()
	dynamicFactory := dynamicinformer.NewFilteredDynamicSharedInformerFactory(server.Dynamic, 0, namespace, nil)
	metadataFactory := metadatainformer.NewFilteredSharedInformerFactory(server.Metadata, 0, namespace, nil)
	byDynamic, byMetadata := dynamicFactory.ForResource(resource), metadataFactory.ForResource(resource)
	made = []informer{{"dynamic", byDynamic.Informer(), byDynamic.Lister()}, {"metadata", byMetadata.Informer(), byMetadata.Lister()}}
	starts := []func(<-chan struct{}){dynamicFactory.Start, metadataFactory.Start}
	for _, contentType := range []string{runtime.ContentTypeJSON, runtime.ContentTypeProtobuf} {
		config := server.Config()
		config.ContentType = contentType
		if k.version == batchv1.SchemeGroupVersion {
			factory := informers.NewSharedInformerFactoryWithOptions(kubernetes.NewForConfigOrDie(config), 0, informers.WithNamespace(namespace))
			jobs := factory.Batch().V1().Jobs()
			generic, err := factory.ForResource(resource)
			if err != nil {
				t.Fatal(err)
			}
			made, starts = append(made, informer{"typed in " + contentType, jobs.Informer(), generic.Lister()}), append(starts, factory.Start)
		} else {
			factory := externalversions.NewSharedInformerFactoryWithOptions(versioned.NewForConfigOrDie(config), 0, externalversions.WithNamespace(namespace))
			jobs := factory.Batch().V1().Jobs()
			generic, err := factory.ForResource(resource)
			if err != nil {
				t.Fatal(err)
			}
			made, starts = append(made, informer{"typed in " + contentType, jobs.Informer(), generic.Lister()}), append(starts, factory.Start)
		}
	}
	return made, func(stop <-chan struct{}) {
		for _, start := range starts {
			start(stop)
		}
	}
}

// TestInformers: each sort of cache has what was there, follows what changes, and forgets what goes.
func TestInformers(t *testing.T) {
	t.Parallel()
	forEachKind(t, func(t *testing.T, k kind) {
		namespace, c := server.Namespace(t), newClient(t)
		mustCreate(t, c, k.job(namespace, "before"))
		made, start := informersOf(t, k, namespace)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		start(ctx.Done())
		expect := func(what string, check func(objects map[string]metav1.Object) error) {
			t.Helper()
			for _, i := range made {
				framework.Eventually(t, i.name+": "+what, func(context.Context) error {
					list, err := i.lister.ByNamespace(namespace).List(labels.Everything())
					if err != nil {
						return err
					}
					objects := map[string]metav1.Object{}
					for _, item := range list {
						object, err := apimeta.Accessor(item)
						if err != nil {
							return err
						}
						objects[object.GetName()] = object
					}
					return check(objects)
				})
			}
		}
		expect("has what was there", func(objects map[string]metav1.Object) error { return expectNames(objects, "before") })
		job := k.job(namespace, "after")
		mustCreate(t, c, job)
		expect("has what is new", func(objects map[string]metav1.Object) error { return expectNames(objects, "before", "after") })
		if err := c.Patch(t.Context(), job, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"step":"1"}}}`))); err != nil {
			t.Fatal(err)
		}
		expect("has what changed", func(objects map[string]metav1.Object) error {
			if got := objects["after"]; got == nil || got.GetLabels()["step"] != "1" || got.GetResourceVersion() != job.GetResourceVersion() {
				return fmt.Errorf("object %+v", got)
			}
			return nil
		})
		if err := c.Delete(t.Context(), job, client.PropagationPolicy(metav1.DeletePropagationBackground)); err != nil {
			t.Fatal(err)
		}
		expect("forgets what is gone", func(objects map[string]metav1.Object) error { return expectNames(objects, "before") })
	})
}

func expectNames(objects map[string]metav1.Object, want ...string) error {
	if len(objects) != len(want) {
		return fmt.Errorf("%d Jobs, want %d", len(objects), len(want))
	}
	for _, name := range want {
		if objects[name] == nil {
			return fmt.Errorf("no Job %s", name)
		}
	}
	return nil
}

// TestTypedClient: every verb of the clientset of batch/v1, in both encodings.
func TestTypedClient(t *testing.T) {
	t.Parallel()
	for _, contentType := range []string{runtime.ContentTypeJSON, runtime.ContentTypeProtobuf} {
		t.Run(contentType, func(t *testing.T) {
			t.Parallel()
			config := server.Config()
			config.ContentType = contentType
			namespace := server.Namespace(t)
			jobs := kubernetes.NewForConfigOrDie(config).BatchV1().Jobs(namespace)
			job, err := jobs.Create(t.Context(), kubeKind.job(namespace, "job").(*batchv1.Job), metav1.CreateOptions{})
			if err != nil {
				t.Fatal(err)
			}
			watcher, err := jobs.Watch(t.Context(), metav1.ListOptions{ResourceVersion: job.ResourceVersion})
			if err != nil {
				t.Fatal(err)
			}
			defer watcher.Stop()
			stale := job.DeepCopy()
			job.Spec.Parallelism = new(int32(2))
			if job, err = jobs.Update(t.Context(), job, metav1.UpdateOptions{}); err != nil {
				t.Fatal(err)
			}
			if event := receive(t, watcher.ResultChan()); event.Type != watch.Modified || event.Object.(*batchv1.Job).ResourceVersion != job.ResourceVersion {
				t.Errorf("event %+v, want the update", event)
			}
			_, err = jobs.UpdateStatus(t.Context(), stale, metav1.UpdateOptions{})
			expectConflict(t, "a status update of an old version", err)
			kubeKind.complete(job)
			if _, err = jobs.UpdateStatus(t.Context(), job, metav1.UpdateOptions{}); err != nil {
				t.Fatal(err)
			}
			list, err := jobs.List(t.Context(), metav1.ListOptions{FieldSelector: "status.successful=1"})
			if err != nil || len(list.Items) != 1 || !kubeKind.isComplete(&list.Items[0]) {
				t.Errorf("listed %+v, %v; want the complete Job", list, err)
			}
			if _, err := jobs.Patch(t.Context(), "job", types.StrategicMergePatchType, []byte(`{"spec":{"ttlSecondsAfterFinished":60}}`), metav1.PatchOptions{}); err != nil {
				t.Error(err)
			}
			if err := jobs.DeleteCollection(t.Context(), metav1.DeleteOptions{PropagationPolicy: new(metav1.DeletePropagationBackground)}, metav1.ListOptions{}); err != nil {
				t.Error(err)
			}
			if _, err := jobs.Get(t.Context(), "job", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
				t.Errorf("error %v after the deletion, want NotFound", err)
			}
		})
	}
}

// TestHelpersOfClientGo: what controllers use besides clients: pagers, watches that go on after the server ends them, and waiting for a condition.
func TestHelpersOfClientGo(t *testing.T) {
	t.Parallel()
	forEachKind(t, func(t *testing.T, k kind) {
		namespace, c := server.Namespace(t), newClient(t)
		jobs := server.Dynamic.Resource(k.resource()).Namespace(namespace)
		for i := range 5 {
			mustCreate(t, c, k.job(namespace, fmt.Sprintf("job-%d", i)))
		}
		pages := pager.New(func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			return jobs.List(ctx, options)
		})
		pages.PageSize = 2
		seen := 0
		if err := pages.EachListItem(t.Context(), metav1.ListOptions{}, func(runtime.Object) error { seen++; return nil }); err != nil || seen != 5 {
			t.Errorf("%d Jobs in pages, %v; want 5", seen, err)
		}

		first := mustGet(t, c, k, namespace, "job-0")
		// The server ends each watch after a second: the watcher begins another from where that one ended.
		watcher, err := watchtools.NewRetryWatcherWithContext(t.Context(), first.GetResourceVersion(), &cache.ListWatch{
			WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
				options.TimeoutSeconds = new(int64(1))
				options.FieldSelector = "metadata.name=job-0"
				return jobs.Watch(ctx, options)
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer watcher.Stop()
		for step := range 3 {
			job := mustGet(t, c, k, namespace, "job-0")
			*k.active(job) = int32(step + 1)
			if err := retry.RetryOnConflict(retry.DefaultRetry, func() error { return c.Status().Update(t.Context(), job) }); err != nil {
				t.Fatal(err)
			}
			event := receive(t, watcher.ResultChan())
			if got := event.Object.(metav1.Object).GetResourceVersion(); event.Type != watch.Modified || got != job.GetResourceVersion() {
				t.Errorf("event %s of version %s, want %s", event.Type, got, job.GetResourceVersion())
			}
		}

		ctx, cancel := context.WithTimeout(t.Context(), waitTimeout)
		defer cancel()
		completed := make(chan error, 1)
		go func() {
			_, err := watchtools.UntilWithSync(ctx, &cache.ListWatch{
				ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
					return jobs.List(ctx, options)
				},
				WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
					return jobs.Watch(ctx, options)
				},
			}, k.untyped(), nil, func(event watch.Event) (bool, error) {
				job := k.empty()
				if err := runtime.DefaultUnstructuredConverter.FromUnstructured(event.Object.(runtime.Unstructured).UnstructuredContent(), job); err != nil {
					return false, err
				}
				return job.GetName() == "job-1" && k.isComplete(job), nil
			})
			completed <- err
		}()
		job := mustGet(t, c, k, namespace, "job-1")
		k.complete(job)
		if err := c.Status().Update(t.Context(), job); err != nil {
			t.Fatal(err)
		}
		if err := receive(t, completed); err != nil {
			t.Errorf("waiting for the condition: %v", err)
		}
	})
}

// TestDiscoveryMapsNames: names that people type lead to the right group.
func TestDiscoveryMapsNames(t *testing.T) {
	t.Parallel()
	discovery := memory.NewMemCacheClient(server.Kube.Discovery())
	mapper := restmapper.NewShortcutExpander(restmapper.NewDeferredDiscoveryRESTMapper(discovery), discovery, nil)
	for name, want := range map[string]kind{"jobs": kubeKind, "job": kubeKind, "bj": ourKind} {
		got, err := mapper.ResourceFor(schema.GroupVersionResource{Resource: name})
		if err != nil || got != want.resource() {
			t.Errorf("%s leads to %s, %v; want %s", name, got, err, want.resource())
		}
	}
	_, err := mapper.ResourceFor(schema.GroupVersionResource{Resource: "cronjobs"})
	if !apimeta.IsNoMatchError(err) {
		t.Errorf("error %v of a resource that isn't served", err)
	}
}
