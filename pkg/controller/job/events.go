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

package job

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/record"

	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
	"github.com/jobserver-dev/jobserver/pkg/controller/job/plan"
)

// eventSource is the component that events name as their source.
const eventSource = "job-controller"

// Reasons of the events about single Pods. Those of the Job come with the plan.
const (
	reasonCreated      = "SuccessfulCreate"
	reasonCreateFailed = "FailedCreate"
	reasonDeleted      = "SuccessfulDelete"
	reasonDeleteFailed = "FailedDelete"
)

// eventRecorder emits events about Jobs. They are core/v1 events in the cluster where the Pods live, and regard a Job of the kind
// that owns the Pods, so that kubectl describe finds them there.
type eventRecorder struct {
	recorder record.EventRecorder
	identity Identity
}

// job returns the reference that events about the Job have as their regarding object.
func (r eventRecorder) job(job *batchv1.Job) *corev1.ObjectReference {
	return &corev1.ObjectReference{
		APIVersion:      r.identity.Owner.GroupVersion().String(),
		Kind:            r.identity.Owner.Kind,
		Namespace:       job.Namespace,
		Name:            job.Name,
		UID:             job.UID,
		ResourceVersion: job.ResourceVersion,
	}
}

func (r eventRecorder) planned(job *batchv1.Job, event plan.Event) {
	r.recorder.Event(r.job(job), event.Type, event.Reason, event.Message)
}

func (r eventRecorder) podCreated(job *batchv1.Job, pod *corev1.Pod) {
	r.recorder.Eventf(r.job(job), corev1.EventTypeNormal, reasonCreated, "Created pod: %v", pod.Name)
}

func (r eventRecorder) podCreateFailed(job *batchv1.Job, err error) {
	r.recorder.Eventf(r.job(job), corev1.EventTypeWarning, reasonCreateFailed, "Error creating: %v", err)
}

func (r eventRecorder) podDeleted(job *batchv1.Job, pod *corev1.Pod) {
	r.recorder.Eventf(r.job(job), corev1.EventTypeNormal, reasonDeleted, "Deleted pod: %v", pod.Name)
}

func (r eventRecorder) podDeleteFailed(job *batchv1.Job, err error) {
	r.recorder.Eventf(r.job(job), corev1.EventTypeWarning, reasonDeleteFailed, "Error deleting: %v", err)
}

// startEvents makes the broadcaster write events to the cluster of the Pods, until the broadcaster is shut down.
func startEvents(broadcaster record.EventBroadcaster, podClient kubernetes.Interface) {
	broadcaster.StartStructuredLogging(3)
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: podClient.CoreV1().Events("")})
}
