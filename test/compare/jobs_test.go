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

package compare

import (
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	schedulingv1alpha3 "k8s.io/api/scheduling/v1alpha3"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

const (
	jobName = "sample"
	jobUID  = types.UID("6d4f4a0e-5b5c-4d0e-9d3e-1c6a2f3b7a10")
)

// epoch is a time of the past for whatever needs one: the start of a testing/synctest bubble, less an hour.
var epoch = time.Date(1999, 12, 31, 23, 0, 0, 0, time.UTC)

func at(minutes int) metav1.Time {
	return metav1.NewTime(epoch.Add(time.Duration(minutes) * time.Minute).Local())
}

// An edit changes a Job that is built.
type edit func(*batchv1.Job)

// newJob returns the least valid Job, as the store fills it in before the strategy sees it, edited.
func newJob(edits ...edit) *batchv1.Job {
	job := &batchv1.Job{
		TypeMeta: metav1.TypeMeta{APIVersion: "batch/v1", Kind: "Job"},
		ObjectMeta: metav1.ObjectMeta{
			Name: jobName, Namespace: namespace, UID: jobUID, CreationTimestamp: at(0),
		},
		Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever,
			Containers:    []corev1.Container{{Name: "main", Image: "busybox", Command: []string{"true"}}},
		}}},
	}
	for _, edit := range edits {
		edit(job)
	}
	return job
}

// stored returns the same Job as etcd has it: created, so with resourceVersion, generation, numbers, selector and labels. Edits come after that.
func stored(job *batchv1.Job, edits ...edit) *batchv1.Job {
	job.ResourceVersion = "7"
	job.Generation = 1
	if job.Spec.Completions == nil && job.Spec.Parallelism == nil {
		job.Spec.Completions, job.Spec.Parallelism = new(int32(1)), new(int32(1))
	}
	if manual := job.Spec.ManualSelector; manual == nil || !*manual {
		job.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{batchv1.ControllerUidLabel: string(jobUID)}}
		if job.Spec.Template.Labels == nil {
			job.Spec.Template.Labels = map[string]string{}
		}
		for key, value := range map[string]string{
			"job-name": jobName, batchv1.JobNameLabel: jobName,
			"controller-uid": string(jobUID), batchv1.ControllerUidLabel: string(jobUID),
		} {
			job.Spec.Template.Labels[key] = value
		}
	}
	for _, edit := range edits {
		edit(job)
	}
	return job
}

func indexed(completions, parallelism int32) edit {
	return func(job *batchv1.Job) {
		job.Spec.CompletionMode = new(batchv1.IndexedCompletion)
		job.Spec.Completions = &completions
		job.Spec.Parallelism = &parallelism
	}
}

func perIndex(job *batchv1.Job) {
	indexed(5, 3)(job)
	job.Spec.BackoffLimitPerIndex = new(int32(1))
	job.Spec.MaxFailedIndexes = new(int32(2))
}

func workQueue(job *batchv1.Job) {
	job.Spec.Parallelism = new(int32(3))
}

func manualSelector(job *batchv1.Job) {
	job.Spec.ManualSelector = new(true)
	job.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "mine"}}
	job.Spec.Template.Labels = map[string]string{"app": "mine"}
}

func suspended(job *batchv1.Job) {
	job.Spec.Suspend = new(true)
}

func numbers(job *batchv1.Job) {
	job.Spec.Completions = new(int32(4))
	job.Spec.Parallelism = new(int32(2))
	job.Spec.BackoffLimit = new(int32(3))
	job.Spec.ActiveDeadlineSeconds = new(int64(600))
	job.Spec.TTLSecondsAfterFinished = new(int32(60))
	job.Spec.ManagedBy = new("example.com/other")
	job.Labels = map[string]string{"app": "mine"}
	job.Annotations = map[string]string{"example.com/note": "x"}
}

func failurePolicy(job *batchv1.Job) {
	job.Spec.PodFailurePolicy = &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{
		{Action: batchv1.PodFailurePolicyActionFailJob, OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{
			ContainerName: new("main"), Operator: batchv1.PodFailurePolicyOnExitCodesOpIn, Values: []int32{1, 42}}},
		{Action: batchv1.PodFailurePolicyActionIgnore, OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{
			{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue}}},
		{Action: batchv1.PodFailurePolicyActionCount, OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{
			Operator: batchv1.PodFailurePolicyOnExitCodesOpNotIn, Values: []int32{3}}},
	}}
}

func successPolicy(job *batchv1.Job) {
	indexed(6, 3)(job)
	job.Spec.SuccessPolicy = &batchv1.SuccessPolicy{Rules: []batchv1.SuccessPolicyRule{
		{SucceededIndexes: new("0-2,4"), SucceededCount: new(int32(2))},
		{SucceededCount: new(int32(3))},
	}}
}

// richTemplate fills parts of the template that have rules, defaults or warnings of their own.
func richTemplate(job *batchv1.Job) {
	spec := &job.Spec.Template.Spec
	job.Spec.Template.Labels = map[string]string{"app": "mine"}
	job.Spec.Template.Annotations = map[string]string{"example.com/note": "x"}
	main := &spec.Containers[0]
	main.Ports = []corev1.ContainerPort{{Name: "web", ContainerPort: 8080}, {ContainerPort: 53, Protocol: corev1.ProtocolUDP}}
	main.Env = []corev1.EnvVar{
		{Name: "A", Value: "$(B)"},
		{Name: "NODE", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "spec.nodeName"}}},
		{Name: "CPU", ValueFrom: &corev1.EnvVarSource{ResourceFieldRef: &corev1.ResourceFieldSelector{Resource: "limits.cpu"}}},
	}
	main.Resources = corev1.ResourceRequirements{
		Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("64Mi")},
		Limits:   corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1")},
	}
	main.ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Port: intstr.FromString("web")}}}
	main.LivenessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(8080)}}}
	main.VolumeMounts = []corev1.VolumeMount{{Name: "scratch", MountPath: "/scratch"}, {Name: "both", MountPath: "/both", ReadOnly: true}}
	main.SecurityContext = &corev1.SecurityContext{RunAsUser: new(int64(1000))}
	spec.Containers = append(spec.Containers, corev1.Container{Name: "side", Image: "sidecar:1.2"})
	spec.InitContainers = []corev1.Container{
		{Name: "first", Image: "busybox:latest"},
		{Name: "stays", Image: "busybox", RestartPolicy: new(corev1.ContainerRestartPolicyAlways)},
	}
	spec.Volumes = []corev1.Volume{
		{Name: "scratch"},
		{Name: "both", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
			{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "config"}}},
			{Secret: &corev1.SecretProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "secret"}}},
			{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token"}},
		}}}},
		{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: "config"}, Items: []corev1.KeyToPath{{Key: "a", Path: "b"}}}}},
		{Name: "host", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/srv"}}},
	}
	fillScheduling(spec)
}

func fillScheduling(spec *corev1.PodSpec) {
	spec.NodeSelector = map[string]string{"kubernetes.io/arch": "amd64"}
	spec.Tolerations = []corev1.Toleration{{Key: "spot", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule}}
	spec.PriorityClassName = "high"
	spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "example.com/gate"}}
	spec.Affinity = &corev1.Affinity{
		NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
			NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{
				{Key: "zone", Operator: corev1.NodeSelectorOpIn, Values: []string{"a"}}}}}}},
		PodAntiAffinity: &corev1.PodAntiAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{{
			Weight: 10, PodAffinityTerm: corev1.PodAffinityTerm{TopologyKey: "zone",
				LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "mine"}}}}}},
	}
	spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
		MaxSkew: 1, TopologyKey: "zone", WhenUnsatisfiable: corev1.ScheduleAnyway,
		LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "mine"}}}}
	spec.SecurityContext = &corev1.PodSecurityContext{FSGroup: new(int64(2000)), Sysctls: []corev1.Sysctl{{Name: "kernel.shm_rmid_forced", Value: "1"}}}
	spec.HostAliases = []corev1.HostAlias{{IP: "10.0.0.1", Hostnames: []string{"db"}}}
	spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "pull"}}
	spec.DNSConfig = &corev1.PodDNSConfig{Nameservers: []string{"10.0.0.2"}}
}

func scheduling(job *batchv1.Job) {
	job.Spec.Scheduling = &batchv1.JobSchedulingConfiguration{SchedulingPolicy: &schedulingv1alpha3.WorkloadPodGroupSchedulingPolicy{
		Basic: &schedulingv1alpha3.WorkloadPodGroupBasicSchedulingPolicy{}}}
}

func managedFields(job *batchv1.Job) {
	job.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kubectl", Operation: metav1.ManagedFieldsOperationApply, APIVersion: "batch/v1",
		FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:parallelism":{}}}`)}}
}

// validJobs are starting points for random edits.
func validJobs() []*batchv1.Job {
	return []*batchv1.Job{
		newJob(), newJob(numbers), newJob(indexed(5, 2)), newJob(perIndex), newJob(workQueue), newJob(manualSelector), newJob(suspended),
		newJob(failurePolicy), newJob(successPolicy), newJob(perIndex, failurePolicy, suspended), newJob(richTemplate),
		newJob(richTemplate, indexed(3, 3), suspended), newJob(richTemplate, manualSelector, suspended), newJob(indexed(100_001, 10_000)),
	}
}

func condition(conditionType batchv1.JobConditionType, status corev1.ConditionStatus) batchv1.JobCondition {
	return batchv1.JobCondition{Type: conditionType, Status: status, LastProbeTime: at(5), LastTransitionTime: at(5), Reason: "Because", Message: "of it"}
}

func conditions(types ...batchv1.JobConditionType) edit {
	return func(job *batchv1.Job) {
		for _, conditionType := range types {
			job.Status.Conditions = append(job.Status.Conditions, condition(conditionType, corev1.ConditionTrue))
		}
	}
}

func started(job *batchv1.Job) {
	job.Status.StartTime = new(at(1))
}

func running(job *batchv1.Job) {
	started(job)
	job.Status.Active, job.Status.Ready, job.Status.Terminating = 2, new(int32(1)), new(int32(0))
	job.Status.Succeeded, job.Status.Failed = 1, 1
	job.Status.UncountedTerminatedPods = &batchv1.UncountedTerminatedPods{Succeeded: []types.UID{"a", "b"}, Failed: []types.UID{"c"}}
}

func runningIndexed(job *batchv1.Job) {
	running(job)
	job.Status.CompletedIndexes = "0"
	if job.Spec.BackoffLimitPerIndex != nil {
		job.Status.FailedIndexes = new("1")
	}
}

func complete(job *batchv1.Job) {
	started(job)
	conditions(batchv1.JobSuccessCriteriaMet, batchv1.JobComplete)(job)
	job.Status.CompletionTime = new(at(5))
	job.Status.Succeeded, job.Status.Ready, job.Status.Terminating = 1, new(int32(0)), new(int32(0))
	job.Status.UncountedTerminatedPods = &batchv1.UncountedTerminatedPods{}
}

func failed(job *batchv1.Job) {
	started(job)
	conditions(batchv1.JobFailureTarget, batchv1.JobFailed)(job)
	job.Status.Failed, job.Status.Ready, job.Status.Terminating = 3, new(int32(0)), new(int32(0))
	job.Status.UncountedTerminatedPods = &batchv1.UncountedTerminatedPods{}
}

// storedJobs are starting points for random edits of what is stored, in each state of a Job's life.
func storedJobs() []*batchv1.Job {
	var jobs []*batchv1.Job
	for _, job := range validJobs() {
		jobs = append(jobs, stored(job.DeepCopy()), stored(job.DeepCopy(), running))
	}
	return append(jobs,
		stored(newJob(), complete), stored(newJob(numbers), failed), stored(newJob(failurePolicy), started, conditions(batchv1.JobFailureTarget)),
		stored(newJob(successPolicy), runningIndexed, conditions(batchv1.JobSuccessCriteriaMet)),
		stored(newJob(indexed(5, 5)), runningIndexed), stored(newJob(perIndex), runningIndexed),
		stored(newJob(suspended), started), stored(newJob(suspended, richTemplate), started, conditions(batchv1.JobSuspended)),
		stored(newJob(suspended, richTemplate), running, conditions(batchv1.JobSuspended)),
		stored(newJob(), deleted), stored(newJob(perIndex), failed, deleted),
	)
}

func deleted(job *batchv1.Job) {
	job.DeletionTimestamp = new(at(10))
	job.DeletionGracePeriodSeconds = new(int64(0))
	job.Finalizers = []string{"foregroundDeletion", "example.com/hold"}
}
