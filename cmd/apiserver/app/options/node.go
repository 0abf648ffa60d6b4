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

package options

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/tools/clientcmd"
	cliflag "k8s.io/component-base/cli/flag"
	"k8s.io/component-base/logs"
	logsapi "k8s.io/component-base/logs/api/v1"

	"github.com/jobserver-dev/jobserver/pkg/node"
)

// Ways to decide what callers of the kubelet's API may do.
const (
	authorizationWebhook     = "Webhook"
	authorizationAlwaysAllow = "AlwaysAllow"
)

// Node are the flags of a node. Where a kubelet has a flag for the same, it has the same name and default.
type Node struct {
	Kubeconfig     string
	DataDir        string
	NodeName       string
	NodeIP         string
	BindAddress    string
	SecurePort     int
	CertFile       string
	KeyFile        string
	ClientCAFile   string
	ReviewTokens   bool
	Authorization  string
	Labels         map[string]string
	Taints         []string
	MaxPods        int
	SchedulePods   bool
	StopPodsOnExit bool
	KubeAPIQPS     float32
	KubeAPIBurst   int

	ContainerLogs *ContainerLogs

	Logs *logs.Options
}

// NewNode returns the defaults.
func NewNode() *Node {
	return &Node{
		BindAddress:   "127.0.0.1",
		SecurePort:    node.DefaultPort,
		ReviewTokens:  true,
		Authorization: authorizationWebhook,
		KubeAPIQPS:    50,
		KubeAPIBurst:  100,
		ContainerLogs: NewContainerLogs(),
		Logs:          logs.NewOptions(),
	}
}

// AddFlags adds all flags to flags.
func (n *Node) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&n.Kubeconfig, "kubeconfig", n.Kubeconfig, "Kubeconfig that says where the API server is and who the node is to it. Required.")
	flags.StringVar(&n.DataDir, "data-dir", n.DataDir, "Folder for records and logs of Pods, and the certificate. Made where it is missing; a node started on it again finds its Pods. Required.")
	flags.StringVar(&n.NodeName, "node-name", n.NodeName, "Name of the Node. Default: the host name.")
	flags.StringVar(&n.NodeIP, "node-ip", n.NodeIP, "IP address at which the API server reaches the node. Default: --bind-address or, where that is every address, the one that leads to the API server.")
	flags.StringVar(&n.BindAddress, "bind-address", n.BindAddress, "IP address on which the kubelet's API listens. A server on another machine can't reach the default.")
	flags.IntVar(&n.SecurePort, "secure-port", n.SecurePort, "TCP port of the kubelet's API. 0 takes any free port.")
	flags.StringVar(&n.CertFile, "tls-cert-file", n.CertFile, "File with the certificate of the kubelet's API, in PEM. Default: one is made in the data folder, signed by an authority of its own.")
	flags.StringVar(&n.KeyFile, "tls-private-key-file", n.KeyFile, "File with the key of --tls-cert-file, in PEM.")
	flags.StringVar(&n.ClientCAFile, "client-ca-file", n.ClientCAFile, "File with the certificate authorities, in PEM, that sign callers of the kubelet's API, the API server above all. Without it certificates of callers prove nothing.")
	flags.BoolVar(&n.ReviewTokens, "authentication-token-webhook", n.ReviewTokens, "Ask the API server whose the tokens of callers are (TokenReview).")
	flags.StringVar(&n.Authorization, "authorization-mode", n.Authorization, "What callers may do: Webhook asks the API server (SubjectAccessReview), AlwaysAllow allows everything to callers that are known.")
	flags.Var(cliflag.NewMapStringString(&n.Labels), "node-labels", "Labels of the Node, as key=value, separated by commas.")
	flags.StringSliceVar(&n.Taints, "register-with-taints", n.Taints, "Taints that the Node is made with, as key=value:effect or key:effect, separated by commas.")
	flags.IntVar(&n.MaxPods, "max-pods", n.MaxPods, "Number of Pods that the node takes. 0 stands for 1000: a Pod here is a process.")
	flags.BoolVar(&n.SchedulePods, "schedule-pods", n.SchedulePods, "Bind Pods that have no node to this one as far as they fit. For clusters without a scheduler; with several such nodes the first one wins.")
	addStopPodsOnExit(flags, &n.StopPodsOnExit)
	n.ContainerLogs.AddFlags(flags)
	flags.Float32Var(&n.KubeAPIQPS, "kube-api-qps", n.KubeAPIQPS, "Requests per second to the API server, in the long run.")
	flags.IntVar(&n.KubeAPIBurst, "kube-api-burst", n.KubeAPIBurst, "Requests to the API server that may be sent at once.")
	logsapi.AddFlags(n.Logs, flags)
}

// addStopPodsOnExit adds the flag that commands share which leave their Pods running.
func addStopPodsOnExit(flags *pflag.FlagSet, target *bool) {
	flags.BoolVar(target, "stop-pods-on-exit", *target, "End the Pods, with their grace periods, when stopped by a signal. Without it they go on, and a later start on the folder finds them.")
}

// Validate returns an error that names every flag with a bad value.
func (n *Node) Validate() error {
	var errs []error
	require := func(flag, value string) {
		if value == "" {
			errs = append(errs, fmt.Errorf("--%s: is required", flag))
		}
	}
	require("kubeconfig", n.Kubeconfig)
	require("data-dir", n.DataDir)
	if n.NodeName != "" {
		for _, message := range validation.IsDNS1123Subdomain(n.NodeName) {
			errs = append(errs, fmt.Errorf("--node-name: %q: %s", n.NodeName, message))
		}
	}
	if net.ParseIP(n.BindAddress) == nil {
		errs = append(errs, fmt.Errorf("--bind-address: %q is not an IP address", n.BindAddress))
	}
	if ip := net.ParseIP(n.NodeIP); n.NodeIP != "" && (ip == nil || ip.IsUnspecified()) {
		errs = append(errs, fmt.Errorf("--node-ip: %q is not the IP address of a machine", n.NodeIP))
	}
	if n.SecurePort < 0 || n.SecurePort > 65535 {
		errs = append(errs, fmt.Errorf("--secure-port: %d is not between 0 and 65535", n.SecurePort))
	}
	if (n.CertFile == "") != (n.KeyFile == "") {
		errs = append(errs, errors.New("--tls-cert-file, --tls-private-key-file: one needs the other"))
	}
	errs = append(errs, checkFiles(
		fileFlag{"client-ca-file", n.ClientCAFile}, fileFlag{"tls-cert-file", n.CertFile}, fileFlag{"tls-private-key-file", n.KeyFile},
	)...)
	if n.Authorization != authorizationWebhook && n.Authorization != authorizationAlwaysAllow {
		errs = append(errs, fmt.Errorf("--authorization-mode: %q is neither %s nor %s", n.Authorization, authorizationWebhook, authorizationAlwaysAllow))
	}
	if n.ClientCAFile == "" && !n.ReviewTokens {
		errs = append(errs, errors.New("--client-ca-file, --authentication-token-webhook: without both nobody could call the kubelet's API"))
	}
	if n.MaxPods < 0 {
		errs = append(errs, fmt.Errorf("--max-pods: %d is negative", n.MaxPods))
	}
	if n.KubeAPIQPS <= 0 || n.KubeAPIBurst <= 0 {
		errs = append(errs, fmt.Errorf("--kube-api-qps, --kube-api-burst: %v and %d must be greater than 0", n.KubeAPIQPS, n.KubeAPIBurst))
	}
	errs = append(errs, n.ContainerLogs.Validate()...)
	errs = append(errs, n.validateLabels()...)
	if _, err := parseTaints(n.Taints); err != nil {
		errs = append(errs, err)
	}
	return utilerrors.NewAggregate(errs)
}

func (n *Node) validateLabels() []error {
	var errs []error
	for key, value := range n.Labels {
		for _, message := range append(validation.IsQualifiedName(key), validation.IsValidLabelValue(value)...) {
			errs = append(errs, fmt.Errorf("--node-labels: %s=%s: %s", key, value, message))
		}
	}
	return errs
}

// taintEffects are what a taint may do.
var taintEffects = []corev1.TaintEffect{corev1.TaintEffectNoSchedule, corev1.TaintEffectPreferNoSchedule, corev1.TaintEffectNoExecute}

// parseTaints reads taints as kubectl taint and the kubelet write them.
func parseTaints(list []string) ([]corev1.Taint, error) {
	var (
		taints []corev1.Taint
		errs   []error
	)
	for _, item := range list {
		name, effect, found := strings.Cut(item, ":")
		key, value, _ := strings.Cut(name, "=")
		taint := corev1.Taint{Key: key, Value: value, Effect: corev1.TaintEffect(effect)}
		if !found || !slices.Contains(taintEffects, taint.Effect) {
			errs = append(errs, fmt.Errorf("--register-with-taints: %q does not end in one of %v after a colon", item, taintEffects))
			continue
		}
		for _, message := range append(validation.IsQualifiedName(key), validation.IsValidLabelValue(value)...) {
			errs = append(errs, fmt.Errorf("--register-with-taints: %q: %s", item, message))
		}
		taints = append(taints, taint)
	}
	return taints, errors.Join(errs...)
}

// Options returns how the node runs. The flags must be valid. An error names the flag whose file can't be used.
func (n *Node) Options() (node.Options, error) {
	api, err := clientcmd.BuildConfigFromFlags("", n.Kubeconfig)
	if err != nil {
		return node.Options{}, fmt.Errorf("--kubeconfig: %w", err)
	}
	api.QPS, api.Burst = n.KubeAPIQPS, n.KubeAPIBurst
	api.ContentType = "application/vnd.kubernetes.protobuf"
	api.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	dataDir, err := filepath.Abs(n.DataDir)
	if err != nil {
		return node.Options{}, fmt.Errorf("--data-dir: %w", err)
	}
	name := n.NodeName
	if name == "" {
		if name, err = os.Hostname(); err != nil {
			return node.Options{}, fmt.Errorf("--node-name: %w", err)
		}
		name = strings.ToLower(strings.TrimSpace(name))
	}
	taints, err := parseTaints(n.Taints)
	if err != nil {
		return node.Options{}, err
	}
	return node.Options{
		API: api, DataDir: dataDir, NodeName: name, BindAddress: net.ParseIP(n.BindAddress), Port: n.SecurePort, NodeIP: net.ParseIP(n.NodeIP),
		CertFile: n.CertFile, KeyFile: n.KeyFile, ClientCAFile: n.ClientCAFile,
		ReviewTokens: n.ReviewTokens, AllowAll: n.Authorization == authorizationAlwaysAllow,
		MaxPods: n.MaxPods, Labels: n.Labels, Taints: taints, SchedulePods: n.SchedulePods, StopPodsOnExit: n.StopPodsOnExit,
		ContainerLogs: n.ContainerLogs.Config(),
	}, nil
}
