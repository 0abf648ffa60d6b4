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

package lineage

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	clientv3 "go.etcd.io/etcd/client/v3"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/tools/pager"
	"k8s.io/klog/v2"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
)

// ReleasedLabel is on Pods that were let go, with the UID of the Job that they had.
const ReleasedLabel = batch.GroupName + "/released-from"

// pageSize is how many Jobs or Pods are read at once.
const pageSize = 500

// releasePods lets go of the Pods of Jobs that are not in etcd: without owner and finalizer they live on, and neither the cluster's garbage
// collector nor our Job controller has a say in them.
func (k *Keeper) releasePods(ctx context.Context) error {
	jobs, err := k.jobUIDs(ctx)
	if err != nil {
		return err
	}
	released := 0
	list := pager.New(func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		return k.config.Cluster.CoreV1().Pods(metav1.NamespaceAll).List(ctx, options)
	})
	list.PageSize = pageSize
	err = list.EachListItem(ctx, metav1.ListOptions{LabelSelector: batch.ManagedLabel}, func(object runtime.Object) error {
		pod := object.(*corev1.Pod)
		owner := metav1.GetControllerOfNoCopy(pod)
		if owner == nil || jobs.Has(owner.UID) {
			return nil
		}
		if err := k.releasePod(ctx, pod, owner.UID); err != nil {
			return fmt.Errorf("release pod %s/%s: %w", pod.Namespace, pod.Name, err)
		}
		released++
		return nil
	})
	klog.FromContext(ctx).Info("Released the Pods of Jobs that are not in etcd", "jobs", jobs.Len(), "released", released)
	if err != nil {
		return fmt.Errorf("release the pods of missing jobs: %w", err)
	}
	return nil
}

// jobUIDs are those of all Jobs in etcd.
func (k *Keeper) jobUIDs(ctx context.Context) (sets.Set[types.UID], error) {
	uids := sets.New[types.UID]()
	end := clientv3.GetPrefixRangeEnd(k.config.JobsPrefix)
	for key := k.config.JobsPrefix; ; {
		page, err := k.config.Etcd.Get(ctx, key, clientv3.WithRange(end), clientv3.WithLimit(pageSize))
		if err != nil {
			return nil, fmt.Errorf("read the jobs in etcd: %w", err)
		}
		for _, kv := range page.Kvs {
			job, err := k.config.Decode(kv.Value)
			if err != nil {
				return nil, fmt.Errorf("read the job at etcd key %s: %w", kv.Key, err)
			}
			uids.Insert(job.GetUID())
		}
		if !page.More {
			return uids, nil
		}
		key = string(page.Kvs[len(page.Kvs)-1].Key) + "\x00"
	}
}

// releasePod takes the owner, our finalizers and the label that we watch off a Pod. The patch repeats the Pod's UID: it can't hit another of the same name.
func (k *Keeper) releasePod(ctx context.Context, pod *corev1.Pod, owner types.UID) error {
	type object = map[string]any
	ours := slices.DeleteFunc(slices.Clone(pod.Finalizers), func(finalizer string) bool {
		return finalizer != batch.TrackingFinalizer && finalizer != batch.KubeTrackingFinalizer
	})
	meta := object{
		"uid":             pod.UID,
		"labels":          object{batch.ManagedLabel: nil, ReleasedLabel: owner},
		"ownerReferences": []object{{"$patch": "delete", "uid": owner}},
	}
	if len(ours) > 0 {
		meta["$deleteFromPrimitiveList/finalizers"] = ours
	}
	patch, err := json.Marshal(object{"metadata": meta})
	if err != nil {
		return err
	}
	_, err = k.config.Cluster.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		// Gone, or another by now.
		return nil
	}
	return err
}
