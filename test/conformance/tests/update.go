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

package tests

import (
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/jobserver-dev/jobserver/test/conformance/suite"
)

// immutable is a test that tries to change a suspended Job, which is refused for some causes.
func immutable(name, description, source string, causes []string, change func(job *batchv1.Job), edits ...edit) suite.Test {
	return suite.Test{Name: name, Description: description, Source: source, Run: func(t *suite.T) {
		job := t.Create(newJob(append(edits, suspended)...))
		_, err := t.TryUpdate(job, change)
		t.Refused(err, causes...)
	}}
}

// mutable is a test that changes a suspended Job and finds the change when it reads the Job.
func mutable(name, description, source string, change func(spec *batchv1.JobSpec), get func(spec batchv1.JobSpec) any, edits ...edit) suite.Test {
	return suite.Test{Name: name, Description: description, Source: source, Run: func(t *suite.T) {
		job := t.Create(newJob(append(edits, suspended)...))
		want := job.Spec.DeepCopy()
		change(want)
		t.Update(job, func(job *batchv1.Job) { change(&job.Spec) })
		changed := t.Get(job)
		suite.Equal(t, "the field", get(changed.Spec), get(*want))
		suite.Equal(t, "generation", changed.Generation, job.Generation+1)
	}}
}

// fixed are the causes of the refusal to change a field of the spec that never changes.
func fixed(path string) []string {
	return []string{"spec." + path + ": Invalid value: …field is immutable"}
}

// inTemplate makes a change of the Pod template one of the spec.
func inTemplate(change func(template *corev1.PodTemplateSpec)) func(spec *batchv1.JobSpec) {
	return func(spec *batchv1.JobSpec) { change(&spec.Template) }
}

// fastDisk selects nodes.
var fastDisk = map[string]string{"disk": "fast"}

// What is fixed from the creation of a Job on, or changes together with another field only.
func init() {
	subject("Update",
		immutable("Completions", "The completions of a NonIndexed Job don't change.", "reference 1.2", fixed("completions"),
			func(job *batchv1.Job) { job.Spec.Completions = ptr.To[int32](3) }, completions(2)),
		immutable("CompletionsRemoved", "The completions of a NonIndexed Job can't be removed.", "reference 1.2", fixed("completions"),
			func(job *batchv1.Job) { job.Spec.Completions = nil }, completions(2), parallelism(1)),
		immutable("CompletionMode", "CompletionMode doesn't change.", "reference 1.2", fixed("completionMode"),
			func(job *batchv1.Job) { job.Spec.CompletionMode = ptr.To(batchv1.IndexedCompletion) }, completions(2)),
		immutable("PodFailurePolicy", "PodFailurePolicy doesn't change.", "reference 1.2; KEP-3329", fixed("podFailurePolicy"),
			func(job *batchv1.Job) { job.Spec.PodFailurePolicy.Rules[0].OnExitCodes.Values = []int32{2} },
			podFailurePolicy(onExitCodes(failJob, 1))),
		immutable("BackoffLimitPerIndex", "BackoffLimitPerIndex doesn't change.", "reference 1.2; KEP-3850", fixed("backoffLimitPerIndex"),
			func(job *batchv1.Job) { job.Spec.BackoffLimitPerIndex = ptr.To[int32](2) }, indexed(2), backoffLimitPerIndex(1)),
		immutable("ManagedBy", "ManagedBy doesn't change.", "reference 1.2; KEP-4368", fixed("managedBy"),
			func(job *batchv1.Job) { job.Spec.ManagedBy = ptr.To("example.com/another") }, managedBy("example.com/controller")),
		immutable("ManagedByAdded", "ManagedBy can't be added to a Job.", "reference 1.2; KEP-4368", fixed("managedBy"),
			func(job *batchv1.Job) { job.Spec.ManagedBy = ptr.To("example.com/controller") }),
		immutable("SuccessPolicy", "SuccessPolicy doesn't change.", "reference 1.2; KEP-3998", fixed("successPolicy"),
			func(job *batchv1.Job) { job.Spec.SuccessPolicy.Rules[0].SucceededCount = ptr.To[int32](2) },
			indexed(3), successPolicy(batchv1.SuccessPolicyRule{SucceededCount: ptr.To[int32](1)})),
		immutable("Selector", "The selector doesn't change.", "guide 13; reference 1.2",
			[]string{
				"spec.selector: Invalid value: …field is immutable",
				"spec.template.metadata.labels: Invalid value: …`selector` does not match template `labels`",
			}, func(job *batchv1.Job) {
				job.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}
			}),
		immutable("IndexedCompletionsAlone", "The completions of an Indexed Job change together with parallelism only.", "reference 1.2; KEP-3715",
			[]string{"spec.completions: Invalid value: 4: can only be modified in tandem with spec.parallelism"},
			func(job *batchv1.Job) { job.Spec.Completions = ptr.To[int32](4) }, indexed(3)),
		mutable("IndexedCompletions", "The completions of an Indexed Job change together with parallelism.", "reference 1.2; KEP-3715",
			func(spec *batchv1.JobSpec) { spec.Completions, spec.Parallelism = ptr.To[int32](5), ptr.To[int32](5) },
			func(spec batchv1.JobSpec) any { return *spec.Completions }, indexed(3)),
	)
}

// What may be changed at any time.
func init() {
	subject("Update",
		mutable("Parallelism", "Parallelism may be changed.", "guide 8 and 12; reference 1.2",
			func(spec *batchv1.JobSpec) { spec.Parallelism = ptr.To[int32](7) }, func(spec batchv1.JobSpec) any { return *spec.Parallelism }),
		mutable("BackoffLimit", "BackoffLimit may be changed.", "reference 1.2",
			func(spec *batchv1.JobSpec) { spec.BackoffLimit = ptr.To[int32](9) }, func(spec batchv1.JobSpec) any { return *spec.BackoffLimit }),
		mutable("Deadline", "ActiveDeadlineSeconds may be changed.", "reference 1.2",
			func(spec *batchv1.JobSpec) { spec.ActiveDeadlineSeconds = ptr.To[int64](99) },
			func(spec batchv1.JobSpec) any { return *spec.ActiveDeadlineSeconds }),
		mutable("TTL", "TtlSecondsAfterFinished may be changed.", "reference 1.2; KEP-592",
			func(spec *batchv1.JobSpec) { spec.TTLSecondsAfterFinished = ptr.To[int32](99) },
			func(spec batchv1.JobSpec) any { return *spec.TTLSecondsAfterFinished }),
		mutable("MaxFailedIndexes", "MaxFailedIndexes may be changed.", "reference 1.2",
			func(spec *batchv1.JobSpec) { spec.MaxFailedIndexes = ptr.To[int32](2) },
			func(spec batchv1.JobSpec) any { return *spec.MaxFailedIndexes }, indexed(3), backoffLimitPerIndex(1)),
		mutable("PodReplacementPolicy", "PodReplacementPolicy may be changed.", "reference 1.2",
			func(spec *batchv1.JobSpec) { spec.PodReplacementPolicy = ptr.To(batchv1.Failed) },
			func(spec batchv1.JobSpec) any { return *spec.PodReplacementPolicy }),
	)
}

// What an update leaves as it is.
func init() {
	subject("Update",
		suite.Test{
			Name: "Generation", Description: "A Job has generation 1, and a change of metadata leaves it.", Source: "reference 1.4; API conventions",
			Run: func(t *suite.T) {
				job := t.Create(newJob(suspended))
				suite.Equal(t, "generation", job.Generation, 1)
				job = t.Update(job, func(job *batchv1.Job) { job.Annotations = map[string]string{"a": "b"} })
				suite.Equal(t, "generation after a change of metadata", job.Generation, 1)
				job = t.Update(job, func(*batchv1.Job) {})
				suite.Equal(t, "generation after no change", job.Generation, 1)
			},
		},
		suite.Test{
			Name: "NothingKeepsResourceVersion", Description: "An update that changes nothing keeps the resourceVersion.", Source: "API conventions",
			Run: func(t *suite.T) {
				job := t.WaitCondition(t.Create(newJob(suspended)), batchv1.JobSuspended, corev1.ConditionTrue)
				same := t.Update(job, func(*batchv1.Job) {})
				suite.Equal(t, "resourceVersion", same.ResourceVersion, job.ResourceVersion)
			},
		},
		suite.Test{
			Name: "StatusIsIgnored", Description: "A status is not created, and an update of the Job leaves it.", Source: "reference 1.4; API conventions",
			Run: func(t *suite.T) {
				job := t.Create(newJob(managedBy("example.com/controller"), func(job *batchv1.Job) { job.Status.Active = 5 }))
				suite.Equal(t, "active of the created Job", job.Status.Active, 0)
				job = t.Update(job, func(job *batchv1.Job) { job.Status.Active, job.Spec.Parallelism = 5, ptr.To[int32](2) })
				suite.Equal(t, "active of the updated Job", job.Status.Active, 0)
				suite.Equal(t, "parallelism of the updated Job", *job.Spec.Parallelism, 2)
			},
		},
		suite.Test{
			Name: "SpecIsIgnoredThroughStatus", Description: "An update of the status leaves the spec, and may change metadata.", Source: "reference 1.4",
			Run: func(t *suite.T) {
				job := t.Create(newJob(managedBy("example.com/controller")))
				job = t.UpdateStatus(job, func(job *batchv1.Job) {
					job.Status.Active, job.Spec.Parallelism = 5, ptr.To[int32](7)
					job.Annotations = map[string]string{"a": "b"}
				})
				suite.Equal(t, "active", job.Status.Active, 5)
				suite.Equal(t, "parallelism", *job.Spec.Parallelism, 1)
				suite.Equal(t, "generation", job.Generation, 1)
				suite.Equal(t, "annotations", job.Annotations, map[string]string{"a": "b"})
			},
		},
	)
}

// Updates that mean another version of the Job, another Job, or none.
func init() {
	subject("Update",
		suite.Test{
			Name: "Unconditional", Description: "An update without a resourceVersion is accepted.", Source: "reference 1.1",
			Run: func(t *suite.T) {
				job := t.Create(newJob(suspended))
				object := t.GetFields(job)
				object.SetResourceVersion("")
				object.SetAnnotations(map[string]string{"a": "b"})
				updated, err := t.API().Update(t.Context(), object, metav1.UpdateOptions{})
				t.Must(err)
				suite.Equal(t, "annotations", updated.GetAnnotations(), map[string]string{"a": "b"})
			},
		},
		suite.Test{
			Name: "Conflict", Description: "An update of an earlier version of the Job is a conflict.", Source: "API conventions",
			Run: func(t *suite.T) {
				job := t.Create(newJob(suspended))
				early := t.GetFields(job)
				t.Update(job, func(job *batchv1.Job) { job.Annotations = map[string]string{"a": "b"} })
				early.SetAnnotations(map[string]string{"a": "c"})
				_, err := t.API().Update(t.Context(), early, metav1.UpdateOptions{})
				t.RefusedFor(err, metav1.StatusReasonConflict, "the object has been modified; please apply your changes to the latest version and try again")
			},
		},
		suite.Test{
			Name: "NoCreationByUpdate", Description: "An update of a Job that is not there does not create it.", Source: "reference 1.1",
			Run: func(t *suite.T) {
				_, err := t.API().Update(t.Context(), t.Object(newJob()), metav1.UpdateOptions{})
				t.RefusedFor(err, metav1.StatusReasonNotFound, `"job" not found`)
			},
		},
		suite.Test{
			Name: "AnotherUID", Description: "An update that means a Job of another UID is a conflict.", Source: "API conventions",
			Run: func(t *suite.T) {
				job := t.Create(newJob(suspended))
				object := t.GetFields(job)
				object.SetUID("00000000-0000-0000-0000-000000000000")
				_, err := t.API().Update(t.Context(), object, metav1.UpdateOptions{})
				t.RefusedFor(err, metav1.StatusReasonConflict, "Precondition failed: UID in precondition")
			},
		},
	)
}

// What may be changed in the Pod template of a suspended Job.
func init() {
	subject("TemplateUpdate",
		suite.Test{
			Name: "Running", Description: "The Pod template of a Job that is not suspended doesn't change.", Source: "reference 1.8",
			Run: func(t *suite.T) {
				job := t.Create(newJob(managedBy("example.com/controller")))
				_, err := t.TryUpdate(job, func(job *batchv1.Job) { job.Spec.Template.Spec.NodeSelector = fastDisk })
				t.Refused(err, fixed("template")...)
			},
		},
		mutable("NodeSelector", "The nodeSelector in the Pod template of a suspended Job may be changed.", "reference 1.8; KEP-2926",
			inTemplate(func(template *corev1.PodTemplateSpec) { template.Spec.NodeSelector = fastDisk }),
			func(spec batchv1.JobSpec) any { return spec.Template.Spec.NodeSelector }),
		mutable("Tolerations", "The tolerations in the Pod template of a suspended Job may be changed.", "reference 1.8; KEP-2926",
			inTemplate(func(template *corev1.PodTemplateSpec) {
				template.Spec.Tolerations = []corev1.Toleration{{Key: "a", Operator: "Exists"}}
			}),
			func(spec batchv1.JobSpec) any { return spec.Template.Spec.Tolerations }),
		mutable("NodeAffinity", "The node affinity in the Pod template of a suspended Job may be changed.", "reference 1.8; KEP-2926",
			inTemplate(func(template *corev1.PodTemplateSpec) {
				template.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
					PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{{Weight: 1, Preference: corev1.NodeSelectorTerm{
						MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "a", Operator: "Exists"}},
					}}},
				}}
			}),
			func(spec batchv1.JobSpec) any { return spec.Template.Spec.Affinity }),
		mutable("SchedulingGates", "The scheduling gates in the Pod template of a suspended Job may be changed.", "reference 1.8; KEP-3838",
			inTemplate(func(template *corev1.PodTemplateSpec) {
				template.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "example.com/gate"}}
			}),
			func(spec batchv1.JobSpec) any { return spec.Template.Spec.SchedulingGates }),
		mutable("Labels", "Labels and annotations in the Pod template of a suspended Job may be changed.", "reference 1.8; KEP-2926",
			inTemplate(func(template *corev1.PodTemplateSpec) {
				template.Labels["a"], template.Annotations = "b", map[string]string{"c": "d"}
			}),
			func(spec batchv1.JobSpec) any { return []any{spec.Template.Labels, spec.Template.Annotations} }),
		mutable("Resources", "The containers' resources in the Pod template of a suspended Job may be changed.", "reference 1.8",
			inTemplate(func(template *corev1.PodTemplateSpec) {
				template.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2")}
			}),
			func(spec batchv1.JobSpec) any {
				return spec.Template.Spec.Containers[0].Resources.Requests.Cpu().String()
			}),
	)
}

// What only one of the groups allows, and a change together with the resumption.
func init() {
	subject("TemplateUpdate",
		inGroup(suite.GroupKubernetes, immutable("Image", "The image in the Pod template of a suspended Job of batch/v1 doesn't change.", "reference 1.8",
			[]string{"spec.template.spec: Invalid value: …field is immutable"},
			func(job *batchv1.Job) { job.Spec.Template.Spec.Containers[0].Image = "other" })),
		inGroup(suite.GroupJobserver, mutable("ImageOfTheGuide", "The image in the Pod template of a suspended Job of batch.jobserver.dev/v1 may be changed.", "guide 8",
			inTemplate(func(template *corev1.PodTemplateSpec) { template.Spec.Containers[0].Image = "other" }),
			func(spec batchv1.JobSpec) any { return spec.Template.Spec.Containers[0].Image })),
		inGroup(suite.GroupKubernetes, immutable("PodAffinity", "Affinity between Pods in the template of a suspended Job of batch/v1 doesn't change.", "reference 1.8",
			[]string{"spec.template.spec: Invalid value: …field is immutable"},
			func(job *batchv1.Job) {
				job.Spec.Template.Spec.Affinity = &corev1.Affinity{PodAffinity: &corev1.PodAffinity{
					RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{TopologyKey: "zone", LabelSelector: &metav1.LabelSelector{}}},
				}}
			})),
		suite.Test{
			Name: "ChangeAndResume", Description: "One update may change the nodeSelector of a suspended Job and resume it.", Source: "reference 1.8",
			Run: func(t *suite.T) {
				job := t.Create(newJob(suspended))
				t.WaitCondition(job, batchv1.JobSuspended, corev1.ConditionTrue)
				t.Update(job, func(job *batchv1.Job) {
					job.Spec.Template.Spec.NodeSelector, job.Spec.Suspend = fastDisk, ptr.To(false)
				})
				suite.Equal(t, "the nodeSelector of the Pod", t.WaitActive(job, 1)[0].Spec.NodeSelector, fastDisk)
			},
		},
	)
}

func inGroup(group string, test suite.Test) suite.Test {
	test.Group = group
	return test
}
