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

package nodeagent

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clienttesting "k8s.io/client-go/testing"
)

func requireRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mounts need root")
	}
}

// volumePod is a Pod whose one container runs the script with a volume mounted at /jobserver-test.
func volumePod(name, script string, source corev1.VolumeSource) *corev1.Pod {
	pod := shellPod(name, script)
	pod.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: source}}
	pod.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "data", MountPath: "/jobserver-test"}}
	return pod
}

func emptyDir() corev1.VolumeSource {
	return corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}
}

func configMapSource(name string) corev1.VolumeSource {
	return corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: name}}}
}

func configMapOf(name, key, value string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Data: map[string]string{key: value}}
}

// mounted lists what the machine has mounted below the cluster's folder.
func (c *cluster) mounted(t *testing.T) []string {
	t.Helper()
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for line := range strings.Lines(string(data)) {
		if strings.Contains(line, c.root) {
			found = append(found, line)
		}
	}
	return found
}

func TestContainersShareAVolume(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	c := newCluster(t)
	for name, medium := range map[string]corev1.StorageMedium{"disk": "", "memory": corev1.StorageMediumMemory} {
		source := emptyDir()
		source.EmptyDir.Medium = medium
		source.EmptyDir.SizeLimit = new(resource.MustParse("3Mi"))
		pod := volumePod(name, "cat /jobserver-test/greeting /jobserver-test/sub/other; df -k /jobserver-test | tail -1", source)
		first := shellContainer("first", "echo hello > /elsewhere/greeting")
		first.VolumeMounts = []corev1.VolumeMount{{Name: "data", MountPath: "/elsewhere"}}
		second := shellContainer("second", "echo world > /elsewhere/other")
		second.VolumeMounts = []corev1.VolumeMount{{Name: "data", MountPath: "/elsewhere", SubPath: "sub"}}
		pod.Spec.InitContainers = []corev1.Container{first, second}
		c.create(t, pod)
		c.waitPhase(t, name, corev1.PodSucceeded)
		output := c.log(t, name, nil)
		if !strings.HasPrefix(output, "hello\nworld\n") {
			t.Errorf("%s: the last container printed %q", name, output)
		}
		if inMemory := strings.Contains(output, " 3072 "); inMemory != (medium != "") {
			t.Errorf("%s: the file system of the volume is %q", name, output)
		}
		waitFor(t, "the volumes to be deleted", func() bool {
			_, err := os.Stat(c.agent.runtime.VolumesDir(pod.UID))
			return os.IsNotExist(err)
		})
	}
	if left := c.mounted(t); len(left) > 0 {
		t.Errorf("mounts are left: %q", left)
	}
	if _, err := os.Stat("/jobserver-test"); !os.IsNotExist(err) {
		t.Errorf("the mount point is left on the machine: %v", err)
	}
}

func TestConfigMapReachesARunningPod(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	c := newCluster(t, configMapOf("settings", "level", "1"))
	c.stopAgent()
	c.config.VolumeRefresh = 50 * time.Millisecond
	c.startAgent(t)
	// The folder before goes after the new one has taken its place.
	const seen = "grep -q 2 /jobserver-test/level && [ $(ls -a /jobserver-test | wc -l) -eq 6 ]"
	pod := volumePod("updated", "until "+seen+"; do sleep 0.05; done; ls -a /jobserver-test | tr '\\n' ' '", configMapSource("settings"))
	c.create(t, pod)
	c.waitPhase(t, "updated", corev1.PodRunning)
	changed := configMapOf("settings", "level", "2")
	changed.Data["more"] = "x"
	if _, err := c.CoreV1().ConfigMaps(namespace).Update(t.Context(), changed, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	c.waitPhase(t, "updated", corev1.PodSucceeded)
	fields := strings.Fields(c.log(t, "updated", nil))
	if len(fields) != 6 || strings.Join(append(fields[:2:2], fields[3:]...), " ") != ". .. ..data level more" || !strings.HasPrefix(fields[2], "..20") {
		t.Errorf("the volume holds %q", fields)
	}
}

func TestPodWaitsForTheObjectsOfItsVolumes(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	c := newCluster(t)
	c.create(t, volumePod("waits", "cat /jobserver-test/key", configMapSource("late")))
	c.waitEvents(t, "waits", "FailedMount")
	pod := c.wait(t, "waits", "waiting", func(pod *corev1.Pod) bool { return len(pod.Status.ContainerStatuses) > 0 })
	if waiting := mainState(pod).Waiting; waiting == nil || waiting.Reason != "ContainerCreating" || pod.Status.Phase != corev1.PodPending {
		t.Errorf("phase %s, state %+v; want Pending and ContainerCreating", pod.Status.Phase, mainState(pod))
	}
	if message, want := c.eventMessage(t, "waits", "FailedMount"), `MountVolume.SetUp failed for volume "data" : configmap "late" not found`; message != want {
		t.Errorf("the event says %q, want %q", message, want)
	}
	if _, err := c.CoreV1().ConfigMaps(namespace).Create(t.Context(), configMapOf("late", "key", "value"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	c.waitPhase(t, "waits", corev1.PodSucceeded)
	if output := c.log(t, "waits", nil); output != "value" {
		t.Errorf("the container read %q", output)
	}
}

// eventMessage is the message of one of the Pod's events of the reason.
func (c *cluster) eventMessage(t *testing.T, name, reason string) string {
	t.Helper()
	events, err := c.CoreV1().Events(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, event := range events.Items {
		if event.InvolvedObject.Name == name && event.Reason == reason {
			return event.Message
		}
	}
	return ""
}

func TestVolumeInMemoryOutlivesAgentAndContainer(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	c := newCluster(t)
	source := emptyDir()
	source.EmptyDir.Medium = corev1.StorageMediumMemory
	pod := volumePod("survivor", "test -e /jobserver-test/second && exit 0; touch /jobserver-test/second; echo up > up; until [ -e go ]; do sleep 0.05; done; exit 1", source)
	pod.Spec.RestartPolicy = corev1.RestartPolicyOnFailure
	created := c.create(t, pod)
	c.waitWorkFile(t, created, "up")
	c.stopAgent()
	if err := os.WriteFile(c.agent.runtime.WorkingDir(created.UID)+"/go", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c.startAgent(t)
	if got := c.waitPhase(t, "survivor", corev1.PodSucceeded); got.Status.ContainerStatuses[0].RestartCount != 1 {
		t.Errorf("%d restarts, want 1", got.Status.ContainerStatuses[0].RestartCount)
	}
	c.delete(t, "survivor", metav1.DeleteOptions{})
	c.waitGone(t, created)
	if left := c.mounted(t); len(left) > 0 {
		t.Errorf("mounts are left: %q", left)
	}
}

func TestVolumesOfAPodThatVanishedWhileTheAgentWasDown(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	c := newCluster(t)
	source := emptyDir()
	source.EmptyDir.Medium = corev1.StorageMediumMemory
	created := c.create(t, volumePod("vanished", "exec sleep 1000", source))
	c.waitPhase(t, "vanished", corev1.PodRunning)
	if len(c.mounted(t)) != 1 {
		t.Fatalf("mounted: %q, want one", c.mounted(t))
	}
	c.stopAgent()
	c.delete(t, "vanished", metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))})
	c.startAgent(t)
	c.waitGone(t, created)
	if left := c.mounted(t); len(left) > 0 {
		t.Errorf("mounts are left: %q", left)
	}
}

func TestSubPathExprAndReadOnly(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	c := newCluster(t)
	pod := volumePod("expr", "exec 2>&1; echo x > /jobserver-test/file; touch /read-only/y || cat /read-only/logs-expr/file", emptyDir())
	container := &pod.Spec.Containers[0]
	container.Env = []corev1.EnvVar{{Name: "POD", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.name"}}}}
	container.VolumeMounts[0].SubPathExpr = "logs-$(POD)"
	container.VolumeMounts = append(container.VolumeMounts, corev1.VolumeMount{Name: "data", MountPath: "/read-only", ReadOnly: true})
	c.create(t, pod)
	c.waitPhase(t, "expr", corev1.PodSucceeded)
	if output := c.log(t, "expr", nil); !strings.HasSuffix(output, "Read-only file system\nx\n") {
		t.Errorf("output %q", output)
	}
	refused := volumePod("unknown", "true", emptyDir())
	refused.Spec.Containers[0].VolumeMounts[0].SubPathExpr = "$(NOPE)"
	c.create(t, refused)
	c.wait(t, "unknown", "waiting for a variable", func(pod *corev1.Pod) bool {
		state := mainState(pod).Waiting
		return state != nil && state.Reason == "CreateContainerConfigError" && state.Message == "missing value for NOPE"
	})
}

func TestWorkingDirIsMadeInAVolume(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	c := newCluster(t)
	pod := volumePod("deep", "pwd", emptyDir())
	pod.Spec.Containers[0].WorkingDir = "/jobserver-test/a/b"
	c.create(t, pod)
	c.waitPhase(t, "deep", corev1.PodSucceeded)
	if output := c.log(t, "deep", nil); output != "/jobserver-test/a/b\n" {
		t.Errorf("output %q", output)
	}
	pod = shellPod("relative", "pwd")
	pod.Spec.Containers[0].WorkingDir = "a/b"
	c.create(t, pod)
	c.waitPhase(t, "relative", corev1.PodSucceeded)
	if output := c.log(t, "relative", nil); !strings.HasSuffix(output, "/a/b\n") {
		t.Errorf("output %q", output)
	}
}

func TestReadOnlyRootFilesystem(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	c := newCluster(t)
	pod := volumePod("frozen", "touch /jobserver-test/x && echo volume; touch /etc/jobserver-test-x 2>/dev/null || echo root", emptyDir())
	pod.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{ReadOnlyRootFilesystem: new(true)}
	c.create(t, pod)
	c.waitPhase(t, "frozen", corev1.PodSucceeded)
	if output := c.log(t, "frozen", nil); output != "volume\nroot\n" {
		t.Errorf("output %q", output)
	}
}

func TestServiceAccountToken(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	c := newCluster(t)
	projected := corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
		{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token", ExpirationSeconds: new(int64(3607)), Audience: "me"}},
		{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{{Path: "namespace", FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.namespace"}}}}},
	}}}
	c.react("create", "serviceaccounts", func(action clienttesting.Action) (bool, runtime.Object, error) {
		request := action.(clienttesting.CreateActionImpl).GetObject().(*authenticationv1.TokenRequest)
		request.Status = authenticationv1.TokenRequestStatus{
			Token:               fmt.Sprintf("token of %s for %s, %d s", request.Spec.BoundObjectRef.Name, request.Spec.Audiences, *request.Spec.ExpirationSeconds),
			ExpirationTimestamp: metav1.NewTime(time.Now().Add(time.Hour)),
		}
		return true, request, nil
	})
	c.create(t, volumePod("token", "cat /jobserver-test/token; echo; cat /jobserver-test/namespace", projected))
	c.waitPhase(t, "token", corev1.PodSucceeded)
	if output, want := c.log(t, "token", nil), "token of token for [me], 3607 s\ndefault"; output != want {
		t.Errorf("the volume shows %q, want %q", output, want)
	}
	c.react("create", "serviceaccounts", func(clienttesting.Action) (bool, runtime.Object, error) {
		// What client-go makes of a path that isn't served.
		return true, nil, apierrors.NewGenericServerResponse(404, "post", schema.GroupResource{Resource: "serviceaccounts"}, "default", "404 page not found", 0, true)
	})
	c.create(t, volumePod("refused", "true", projected))
	got := c.waitPhase(t, "refused", corev1.PodFailed)
	if got.Status.Reason != "UnsupportedField" || !strings.Contains(got.Status.Message, "serviceAccountToken: this API server has no service accounts") {
		t.Errorf("reason %q, message %q", got.Status.Reason, got.Status.Message)
	}
	c.waitEvents(t, "refused", "UnsupportedField")
}

func TestVolumeThatTakesTooMuch(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	c := newCluster(t)
	source := emptyDir()
	source.EmptyDir.SizeLimit = new(resource.MustParse("1Mi"))
	pod := volumePod("greedy", "head -c 3000000 /dev/zero > /jobserver-test/file; sleep 1000", source)
	pod.Spec.RestartPolicy = corev1.RestartPolicyOnFailure
	c.create(t, pod)
	got := c.waitPhase(t, "greedy", corev1.PodFailed)
	if want := `Usage of EmptyDir volume "data" exceeds the limit "1Mi". `; got.Status.Reason != "Evicted" || got.Status.Message != want {
		t.Errorf("reason %q, message %q, want Evicted and %q", got.Status.Reason, got.Status.Message, want)
	}
	// It is the Pod's own doing, and counts as a failure of its own.
	if condition := findCondition(got.Status.Conditions, corev1.DisruptionTarget); condition != nil {
		t.Errorf("condition %+v", condition)
	}
	c.waitEvents(t, "greedy", "Evicted")
}
