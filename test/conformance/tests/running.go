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
	"cmp"
	"fmt"
	"slices"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/jobserver-dev/jobserver/test/conformance/suite"
)

// runs is a test of profile node: a Job whose Pods run a script completes, and then something is looked at.
func runs(name, description, source, script string, check func(t *suite.T, job *batchv1.Job, pods []corev1.Pod), edits ...edit) suite.Test {
	return onNode(suite.Test{Name: name, Description: description, Source: source, Run: func(t *suite.T) {
		job := t.WaitComplete(t.Create(runningJob(script, edits...)), "CompletionsReached")
		pods := t.Pods(job)
		slices.SortStableFunc(pods, func(a, b corev1.Pod) int { return cmp.Compare(suite.Index(a), suite.Index(b)) })
		check(t, job, pods)
	}})
}

// fails is a test of profile node: a Job without retries whose Pod fails, and then something is looked at.
func fails(name, description, source, script string, check func(t *suite.T, job *batchv1.Job, pod corev1.Pod), edits ...edit) suite.Test {
	return onNode(suite.Test{Name: name, Description: description, Source: source, Run: func(t *suite.T) {
		job := t.WaitFailed(t.Create(runningJob(script, append([]edit{backoffLimit(0)}, edits...)...)), "BackoffLimitExceeded")
		check(t, job, t.Pods(job)[0])
	}})
}

func onNode(test suite.Test) suite.Test {
	test.Profile = suite.ProfileNode
	return test
}

// logs is what a container of a Pod has written.
func logs(t *suite.T, pod corev1.Pod, options corev1.PodLogOptions) (text string) {
	t.Eventually("the log can be read", func() error {
		stream, err := t.Kube.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, &options).DoRaw(t.Context())
		text = string(stream)
		return err
	})
	return text
}

// printed says where the first container of a Pod has not written exactly some text.
func printed(t *suite.T, pod corev1.Pod, want string) {
	suite.Equal(t, "log", logs(t, pod, corev1.PodLogOptions{}), want)
}

// ending is how the first container of a Pod ended.
func ending(t *suite.T, pod corev1.Pod) corev1.ContainerStateTerminated {
	if len(pod.Status.ContainerStatuses) == 0 || pod.Status.ContainerStatuses[0].State.Terminated == nil {
		t.Fatalf("the container has not ended: %v", pod.Status)
	}
	return *pod.Status.ContainerStatuses[0].State.Terminated
}

// waitRunning waits until n Pods of a Job run and are ready, and its status says so.
func waitRunning(t *suite.T, job *batchv1.Job, n int) []corev1.Pod {
	t.WaitJob(job, fmt.Sprintf("has %d ready Pods", n), func(job *batchv1.Job) bool { return int(or(job.Status.Ready, -1)) == n })
	return t.ActivePods(job)
}

// hold puts a finalizer on a Pod, so that one can see how it ends. The test has to call the function that it returns.
func hold(t *suite.T, pod corev1.Pod) (release func()) {
	patch := func(text string) {
		_, err := t.Kube.CoreV1().Pods(pod.Namespace).Patch(t.Context(), pod.Name, types.StrategicMergePatchType, []byte(text), metav1.PatchOptions{})
		t.Must(err)
	}
	patch(`{"metadata":{"finalizers":["example.com/hold"]}}`)
	return func() { patch(`{"metadata":{"$deleteFromPrimitiveList/finalizers":["example.com/hold"]}}`) }
}

// forever is a script that does not end.
const forever = "while true; do sleep 1; done"

func env(variables ...corev1.EnvVar) edit {
	return podSpec(func(spec *corev1.PodSpec) { spec.Containers[0].Env = variables })
}

func fromField(name, path string) corev1.EnvVar {
	return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: path}}}
}

// scratch mounts an empty folder at /tmp/scratch in all containers.
var scratch = podSpec(func(spec *corev1.PodSpec) {
	spec.Volumes = []corev1.Volume{{Name: "scratch", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
	for _, containers := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range containers {
			containers[i].VolumeMounts = []corev1.VolumeMount{{Name: "scratch", MountPath: "/tmp/scratch"}}
		}
	}
})

// before adds an init container that runs a script.
func before(name, script string, policy *corev1.ContainerRestartPolicy) edit {
	return podSpec(func(spec *corev1.PodSpec) {
		spec.InitContainers = append(spec.InitContainers, corev1.Container{
			Name: name, Image: "busybox:1.36", Command: []string{"sh", "-c", script}, RestartPolicy: policy,
		})
	})
}

// How containers end, and what the Pod says of it.
func init() {
	subject("Running",
		runs("Success", "A Job whose Pod exits with 0 completes; the Pod has the phase Succeeded.", "guide 1, 2 and 10", "exit 0",
			func(t *suite.T, _ *batchv1.Job, pods []corev1.Pod) {
				suite.Equal(t, "phase", pods[0].Status.Phase, corev1.PodSucceeded)
				end := ending(t, pods[0])
				suite.Equal(t, "ending", [2]any{end.ExitCode, end.Reason}, [2]any{int32(0), "Completed"})
			}),
		fails("Failure", "A Job without retries whose Pod exits with 7 fails; the Pod has the phase Failed and the exit code.", "guide 3, 4 and 5", "exit 7",
			func(t *suite.T, _ *batchv1.Job, pod corev1.Pod) {
				suite.Equal(t, "phase", pod.Status.Phase, corev1.PodFailed)
				end := ending(t, pod)
				suite.Equal(t, "ending", [2]any{end.ExitCode, end.Reason}, [2]any{int32(7), "Error"})
				if end.StartedAt.IsZero() || end.FinishedAt.Before(&end.StartedAt) {
					t.Errorf("the container ran from %v to %v", end.StartedAt, end.FinishedAt)
				}
			}),
		fails("Signal", "A container that a signal ends has the exit code 128 and the signal.", "Pod lifecycle", "kill -9 $$$$",
			func(t *suite.T, _ *batchv1.Job, pod corev1.Pod) {
				suite.Equal(t, "exit code", ending(t, pod).ExitCode, 137)
			}),
		fails("NoCommand", "A container whose command is not there fails.", "guide 12", "", func(t *suite.T, _ *batchv1.Job, pod corev1.Pod) {
			if end := ending(t, pod); end.ExitCode == 0 || end.Message == "" {
				t.Errorf("the container ended with %v", end)
			}
		}, podSpec(func(spec *corev1.PodSpec) { spec.Containers[0].Command = []string{"/no/such/command"} })),
		runs("Status", "A Pod that has ended says when it was scheduled and started, and that it is not ready because it completed.", "Pod lifecycle", "exit 0",
			func(t *suite.T, _ *batchv1.Job, pods []corev1.Pod) {
				status := pods[0].Status
				if status.StartTime.IsZero() || pods[0].Spec.NodeName == "" {
					t.Errorf("the Pod has the startTime %v and the node %q", status.StartTime, pods[0].Spec.NodeName)
				}
				for kind, want := range map[corev1.PodConditionType]string{
					corev1.PodScheduled: "True ", corev1.PodInitialized: "True PodCompleted", corev1.PodReady: "False PodCompleted", corev1.ContainersReady: "False PodCompleted",
				} {
					at := slices.IndexFunc(status.Conditions, func(c corev1.PodCondition) bool { return c.Type == kind })
					if at < 0 {
						t.Errorf("the Pod has no condition %s", kind)
						continue
					}
					suite.Equal(t, string(kind), fmt.Sprint(status.Conditions[at].Status, " ", status.Conditions[at].Reason), want)
				}
			}),
	)
}

// What containers write.
func init() {
	subject("Running",
		runs("Log", "The log of a Pod is what its container wrote to standard output and standard error.", "guide 11", "echo one; echo two >&2",
			func(t *suite.T, _ *batchv1.Job, pods []corev1.Pod) {
				lines := strings.Split(logs(t, pods[0], corev1.PodLogOptions{}), "\n")
				slices.Sort(lines)
				suite.Equal(t, "lines", lines, []string{"", "one", "two"})
			}),
		runs("LogTail", "Of a log one can have the last lines.", "guide 11", "for i in 1 2 3 4 5; do echo line $i; done",
			func(t *suite.T, _ *batchv1.Job, pods []corev1.Pod) {
				suite.Equal(t, "last lines", logs(t, pods[0], corev1.PodLogOptions{TailLines: ptr.To[int64](2)}), "line 4\nline 5\n")
			}),
		runs("TerminationMessage", "What a container writes to its termination message file is in its status.", "Pod lifecycle", "printf 'all done' > /dev/termination-log",
			func(t *suite.T, _ *batchv1.Job, pods []corev1.Pod) {
				suite.Equal(t, "message", ending(t, pods[0]).Message, "all done")
			}),
		fails("MessageFromLog", "A failed container may have the end of its log as its message.", "Pod lifecycle", "echo the reason; exit 1",
			func(t *suite.T, _ *batchv1.Job, pod corev1.Pod) {
				suite.Equal(t, "message", ending(t, pod).Message, "the reason\n")
			},
			podSpec(func(spec *corev1.PodSpec) {
				spec.Containers[0].TerminationMessagePolicy = corev1.TerminationMessageFallbackToLogsOnError
			})),
	)
}

// What containers are given.
func init() {
	subject("Running",
		runs("Arguments", "Args follow the command, and variables in both are expanded.", "guide 6 and 7", "",
			func(t *suite.T, _ *batchv1.Job, pods []corev1.Pod) {
				printed(t, pods[0], "hello world $(NONE) $(WHO)\n")
			},
			podSpec(func(spec *corev1.PodSpec) {
				spec.Containers[0].Command, spec.Containers[0].Args = []string{"echo", "$(GREETING)"}, []string{"$(WHO)", "$(NONE)", "$$(WHO)"}
			}), env(corev1.EnvVar{Name: "WHO", Value: "world"}, corev1.EnvVar{Name: "GREETING", Value: "hello"})),
		runs("Environment", "Variables may use earlier ones.", "Pod environment", `echo "$B"`,
			func(t *suite.T, _ *batchv1.Job, pods []corev1.Pod) { printed(t, pods[0], "a and b\n") },
			env(corev1.EnvVar{Name: "A", Value: "a"}, corev1.EnvVar{Name: "B", Value: "$(A) and b"})),
		runs("DownwardAPI", "Variables may have the Pod's name, namespace, labels and UID.", "guide 6; Pod environment", `echo "$NAME $SPACE $JOB $UID_OF_POD"`,
			func(t *suite.T, _ *batchv1.Job, pods []corev1.Pod) {
				printed(t, pods[0], fmt.Sprintf("%s %s job %s\n", pods[0].Name, pods[0].Namespace, pods[0].UID))
			}, env(fromField("NAME", "metadata.name"), fromField("SPACE", "metadata.namespace"), fromField("JOB", "metadata.labels['job-name']"), fromField("UID_OF_POD", "metadata.uid"))),
		runs("WorkingDir", "A container runs in its workingDir.", "Pod lifecycle", "pwd",
			func(t *suite.T, _ *batchv1.Job, pods []corev1.Pod) { printed(t, pods[0], "/tmp\n") },
			podSpec(func(spec *corev1.PodSpec) { spec.Containers[0].WorkingDir = "/tmp" })),
		onNode(suite.Test{
			Name: "ConfigMapAndSecret", Description: "Variables and files may come from ConfigMaps and Secrets.", Source: "guide 7, pattern 5",
			Run: func(t *suite.T) {
				core, meta := t.Kube.CoreV1(), metav1.ObjectMeta{Name: "values"}
				_, err := core.ConfigMaps(t.Namespace()).Create(t.Context(), &corev1.ConfigMap{ObjectMeta: meta, Data: map[string]string{"color": "red"}}, createOptions)
				t.Must(err)
				_, err = core.Secrets(t.Namespace()).Create(t.Context(), &corev1.Secret{ObjectMeta: meta, StringData: map[string]string{"url": "db://host"}}, createOptions)
				t.Must(err)
				reference := corev1.LocalObjectReference{Name: "values"}
				job := t.WaitComplete(t.Create(runningJob(`echo "$COLOR $URL $(cat /tmp/values/color)"`, env(
					corev1.EnvVar{Name: "COLOR", ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: reference, Key: "color"}}},
					corev1.EnvVar{Name: "URL", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: reference, Key: "url"}}},
				), podSpec(func(spec *corev1.PodSpec) {
					spec.Volumes = []corev1.Volume{{Name: "values", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: reference}}}}
					spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "values", MountPath: "/tmp/values"}}
				}))), "CompletionsReached")
				printed(t, t.Pods(job)[0], "red db://host red\n")
			},
		}),
	)
}

// The Pods of a Job beside each other.
func init() {
	subject("Running",
		runs("Index", "Each Pod of an Indexed Job has its index in JOB_COMPLETION_INDEX.", "guide 6, 7 and 12", `echo "shard $JOB_COMPLETION_INDEX"`,
			func(t *suite.T, job *batchv1.Job, pods []corev1.Pod) {
				suite.Equal(t, "completedIndexes", job.Status.CompletedIndexes, "0-3")
				for index, pod := range pods {
					printed(t, pod, fmt.Sprintf("shard %d\n", index))
				}
			}, indexed(4), parallelism(2)),
		runs("IndexInArguments", "The index may be taken from the annotation, and be an argument of the command.", "guide 6 and 7", "",
			func(t *suite.T, _ *batchv1.Job, pods []corev1.Pod) {
				printed(t, pods[0], "--shard=0\n")
				printed(t, pods[1], "--shard=1\n")
			}, indexed(2), podSpec(func(spec *corev1.PodSpec) { spec.Containers[0].Command = []string{"echo", "--shard=$(SHARD)"} }),
			env(fromField("SHARD", "metadata.annotations['batch.kubernetes.io/job-completion-index']"))),
		runs("Sequence", "With parallelism 1, the processes of a Job run one after the other.", "guide 3 and 7", "sleep 1",
			func(t *suite.T, _ *batchv1.Job, pods []corev1.Pod) {
				slices.SortFunc(pods, func(a, b corev1.Pod) int { return ending(t, a).StartedAt.Compare(ending(t, b).StartedAt.Time) })
				for i := range pods[1:] {
					if start, end := ending(t, pods[i+1]).StartedAt, ending(t, pods[i]).FinishedAt; start.Before(&end) {
						t.Errorf("a process started at %v, before the one before it ended at %v", start, end)
					}
				}
			}, completions(3), parallelism(1)),
		onNode(suite.Test{
			Name: "Parallel", Description: "With parallelism 3, three processes of a Job run at the same time.", Source: "guide 3",
			Run: func(t *suite.T) {
				job := t.Create(runningJob(forever, completions(3), parallelism(3)))
				waitRunning(t, job, 3)
				t.Delete(job, metav1.DeletePropagationForeground)
				t.WaitGone(job)
			},
		}),
	)
}

// Pods of several containers.
func init() {
	subject("Running",
		runs("InitContainers", "Init containers run one after the other, before the containers.", "Pod lifecycle", "cat /tmp/scratch/order",
			func(t *suite.T, _ *batchv1.Job, pods []corev1.Pod) { printed(t, pods[0], "first\nsecond\n") },
			before("first", "sleep 1; echo first >> /tmp/scratch/order", nil), before("second", "echo second >> /tmp/scratch/order", nil), scratch),
		fails("InitContainerFails", "A failed init container fails the Pod, and its containers don't run.", "Pod lifecycle", "exit 0",
			func(t *suite.T, _ *batchv1.Job, pod corev1.Pod) {
				suite.Equal(t, "exit code", pod.Status.InitContainerStatuses[0].State.Terminated.ExitCode, 3)
				suite.Equal(t, "the container has not run", pod.Status.ContainerStatuses[0].State.Running == nil && pod.Status.ContainerStatuses[0].LastTerminationState.Terminated == nil, true)
			}, before("first", "exit 3", nil)),
		runs("Sidecar", "A sidecar runs beside the containers, and does not keep the Job from completing.", "KEP-753", "until test -e /tmp/scratch/up; do sleep 1; done",
			func(t *suite.T, _ *batchv1.Job, pods []corev1.Pod) {
				suite.Equal(t, "phase", pods[0].Status.Phase, corev1.PodSucceeded)
			},
			before("sidecar", "touch /tmp/scratch/up; "+forever, ptr.To(corev1.ContainerRestartPolicyAlways)), scratch),
		runs("TwoContainers", "A Pod of two containers succeeds when both have.", "Pod lifecycle", "exit 0",
			func(t *suite.T, _ *batchv1.Job, pods []corev1.Pod) {
				suite.Equal(t, "log of the second", logs(t, pods[0], corev1.PodLogOptions{Container: "side"}), "beside\n")
			}, podSpec(func(spec *corev1.PodSpec) {
				spec.Containers = append(spec.Containers, corev1.Container{Name: "side", Image: "busybox:1.36", Command: []string{"sh", "-c", "sleep 1; echo beside"}})
			})),
	)
}
