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
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/jobserver-dev/jobserver/test/e2e/cluster"
)

const (
	// systemNamespace, accountName and registrationName are those of the manifests.
	systemNamespace  = "jobserver-system"
	accountName      = "jobserver"
	registrationName = "v1.batch.jobserver.dev"

	// serviceHost is the name by which the cluster's API server knows the server.
	serviceHost = "jobserver." + systemNamespace + ".svc"

	nodeName = "jobs-1"

	// waitLong is for what takes seconds on a machine that has nothing else to do.
	waitLong = 2 * time.Minute
)

// ourJobs are the Jobs that the server under test keeps.
var ourJobs = schema.GroupVersionResource{Group: "batch.jobserver.dev", Version: "v1", Resource: "jobs"}

// setup says how an installation is made.
type setup struct {
	// overlay is that of the manifests. Default: embedded-etcd.
	overlay string
	// apiServerArgs and controllerManagerArgs are further flags of the cluster.
	apiServerArgs, controllerManagerArgs []string
	// replicas is how many processes serve. Default: 1.
	replicas int
	// serverArgs are further flags of each of them.
	serverArgs []string
	// noNode leaves the cluster without a node: Pods stay pending.
	noNode bool
	// busy says that the test keeps the machine busy: there is one such at a time.
	busy bool
	// noGateway has the Service lead straight to the only replica.
	noGateway bool
}

// installation is a cluster with the server in it.
type installation struct {
	dir     string
	cluster *cluster.Cluster
	gateway *gateway
	// toHost stands between the server and the cluster's API server. Nobody else goes through it.
	toHost *gateway
	// servicePort is where the Service leads to: the gateway, or the only replica.
	servicePort int
	replicas    []*replica
	node        *cluster.Process
	// triedAgain is when the cluster's API server was told to try our service.
	triedAgain time.Time

	admin user
	kube  *kubernetes.Clientset
	jobs  dynamic.NamespaceableResourceInterface
}

// install starts a cluster, installs the server in it and returns when Jobs are served. On an error nothing is left running.
func install(ctx context.Context, dir string, how setup) (_ *installation, err error) {
	if how.overlay == "" {
		how.overlay = "embedded-etcd"
	}
	in := &installation{dir: dir}
	defer func() {
		if err != nil {
			err = errors.Join(err, in.stop())
		}
	}()
	in.cluster, err = cluster.Start(ctx, cluster.Options{
		Binaries: *binariesPath, Dir: filepath.Join(dir, "cluster"),
		APIServerArgs: how.apiServerArgs, ControllerManagerArgs: how.controllerManagerArgs,
	})
	if err != nil {
		return nil, err
	}
	in.admin = user{in: in, kubeconfig: in.cluster.Kubeconfig()}
	if err := in.makeClients(); err != nil {
		return nil, err
	}
	if err := in.openService(how.noGateway); err != nil {
		return nil, err
	}
	if err := in.applyManifests(how.overlay); err != nil {
		return nil, err
	}
	if err := in.startReplicas(max(how.replicas, 1), how.serverArgs); err != nil {
		return nil, err
	}
	if !how.noNode {
		if err := in.startNode(); err != nil {
			return nil, err
		}
	}
	if err := in.waitAvailable(registrationName); err != nil {
		return nil, err
	}
	return in, in.waitOwner(ctx)
}

func (in *installation) makeClients() error {
	config, err := clientcmd.BuildConfigFromFlags("", in.cluster.Kubeconfig())
	if err != nil {
		return err
	}
	config.QPS, config.Burst = -1, -1
	if in.kube, err = kubernetes.NewForConfig(config); err != nil {
		return err
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return err
	}
	in.jobs = client.Resource(ourJobs)
	return nil
}

// openService finds the port that the Service leads to, and opens the way back.
func (in *installation) openService(noGateway bool) (err error) {
	if noGateway {
		in.servicePort, err = freePort()
		return err
	}
	if in.gateway, err = newGateway(); err != nil {
		return err
	}
	in.servicePort = in.gateway.port()
	if in.toHost, err = newGateway(); err != nil {
		return err
	}
	in.toHost.leadTo(strings.TrimPrefix(in.cluster.URL(), "https://"))
	return nil
}

// asUser is the configuration of a client with a user's kubeconfig.
func asUser(t *testing.T, kubeconfig string) *rest.Config {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	config.QPS, config.Burst = -1, -1
	return config
}

// stop ends everything, the last started first. Pods end with their node.
func (in *installation) stop() error {
	var errs []error
	for _, replica := range in.replicas {
		errs = append(errs, replica.Stop())
	}
	errs = append(errs, in.node.Stop())
	if in.cluster != nil {
		errs = append(errs, in.cluster.Stop())
	}
	for _, gateway := range []*gateway{in.gateway, in.toHost} {
		if gateway != nil {
			errs = append(errs, gateway.close())
		}
	}
	return errors.Join(errs...)
}

// outside is a kustomization for servers that run outside of the cluster. Its comment says more.
//
//go:embed outside.yaml
var outside string

// applyManifests installs an overlay, or installs it again.
func (in *installation) applyManifests(overlay string) error {
	rendered, err := in.render(overlay)
	if err != nil {
		return err
	}
	_, err = in.admin.try(rendered, "apply", "--server-side", "--field-manager=installer", "--validate=strict", "-f", "-")
	return err
}

// overlay is the folder of an overlay of this installation, once it was rendered.
func (in *installation) overlay(name string) string { return filepath.Join(in.dir, "overlay-"+name) }

func (in *installation) render(overlay string) (string, error) {
	dir := in.overlay(overlay)
	// kustomize takes no absolute paths.
	base, err := filepath.Rel(dir, filepath.Join(*manifestsPath, "overlays", overlay))
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	content := strings.NewReplacer("OVERLAY_PATH", base, "SERVICE_PORT", strconv.Itoa(in.servicePort)).Replace(outside)
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(content), 0o600); err != nil {
		return "", err
	}
	return in.admin.try("", "kustomize", dir)
}

// startNode starts the cluster's node. It schedules Pods itself, which a node has no right to by default.
func (in *installation) startNode() error {
	kubeconfig, err := in.cluster.UserKubeconfig("system:node:"+nodeName, "system:nodes")
	if err != nil {
		return err
	}
	if _, err := in.admin.try(cluster.SchedulingNodes, "apply", "-f", "-"); err != nil {
		return err
	}
	in.node = &cluster.Process{
		Name: "node", Path: *apiserverPath, LogPath: filepath.Join(in.dir, "node.log"),
		Args: []string{
			"node", "--kubeconfig", kubeconfig, "--data-dir", filepath.Join(in.dir, "node"), "--node-name", nodeName, "--secure-port", "0",
			"--client-ca-file", in.cluster.CertificatePath("client-ca.crt"), "--schedule-pods", "--stop-pods-on-exit",
			"--kube-api-qps", "500", "--kube-api-burst", "500",
		},
	}
	return in.node.Start()
}

// waitAvailable returns once the cluster's API server reaches the server by an APIService.
func (in *installation) waitAvailable(registration string) error {
	_, err := in.admin.try("", "wait", "--for=condition=Available", "--timeout=90s", "apiservice/"+registration)
	if err != nil {
		for _, replica := range in.replicas {
			err = fmt.Errorf("%w\n%s: %s", err, replica.Name, replica.LogTail())
		}
	}
	return err
}

// waitOwner returns once the cluster's API server lets our server make Pods that a Job of ours owns. With OwnerReferencesPermissionEnforcement it refuses kinds that it
// has not discovered yet, and discovers twice a minute; a Job made before that completes, but tells of a Pod that could not be created.
func (in *installation) waitOwner(ctx context.Context) error {
	config, err := clientcmd.BuildConfigFromFlags("", in.cluster.Kubeconfig())
	if err != nil {
		return err
	}
	config.Impersonate.UserName = "system:serviceaccount:" + systemNamespace + ":" + accountName
	server, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	owner := metav1.OwnerReference{APIVersion: ourJobs.GroupVersion().String(), Kind: "Job", Name: "owner", UID: "owner", Controller: new(true), BlockOwnerDeletion: new(true)}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "owned", OwnerReferences: []metav1.OwnerReference{owner}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "none"}}},
	}
	var refusal error
	err = wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, waitLong, true, func(ctx context.Context) (bool, error) {
		_, refusal = server.CoreV1().Pods(metav1.NamespaceDefault).Create(ctx, pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return refusal == nil, nil
	})
	return errors.Join(err, refusal)
}

// eventually polls until check returns "", and fails with what it returned last when the time is over.
func eventually(t testing.TB, timeout time.Duration, check func() string) {
	t.Helper()
	deadline := time.Now().Add(timeout)
	for {
		problem := check()
		if problem == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %s: %s", timeout, problem)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// describeCount says how many there are and should be.
func describeCount(what string, got, want int) string {
	return fmt.Sprintf("%s: %d, want %d", what, got, want)
}

// describeError is what eventually wants of an error.
func describeError(err error) string {
	if err != nil {
		return err.Error()
	}
	return ""
}
