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

package suite

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/retry"
	"k8s.io/utils/ptr"
)

// places is what a run makes in the server for its tests to be in: namespaces, and a node that no kubelet is behind.
type places struct {
	kube     kubernetes.Interface
	accounts bool

	lock       sync.Mutex
	nodeName   string
	nodes      []string
	namespaces []string
}

func newPlaces(_ context.Context, target *Target) (*places, error) {
	kube, err := kubernetes.NewForConfigAndClient(target.config, target.client)
	if err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	return &places{kube: kube, accounts: target.accounts}, nil
}

// namespace makes a namespace for one test, in which Pods may be created.
func (p *places) namespace(ctx context.Context, test string) (string, error) {
	made, err := p.kube.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		GenerateName: "conformance-", Annotations: map[string]string{"conformance.jobserver.dev/test": test},
	}}, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("create the namespace of the test: %w", err)
	}
	p.lock.Lock()
	p.namespaces = append(p.namespaces, made.Name)
	p.lock.Unlock()
	if !p.accounts {
		return made.Name, nil
	}
	err = wait.PollUntilContextTimeout(ctx, firstPoll, accountTimeout, true, func(ctx context.Context) (bool, error) {
		_, err := p.kube.CoreV1().ServiceAccounts(made.Name).Get(ctx, "default", metav1.GetOptions{})
		return err == nil, nil
	})
	if err != nil && !wait.Interrupted(err) {
		return "", fmt.Errorf("wait for the ServiceAccount of the test's namespace: %w", err)
	}
	return made.Name, nil
}

// release has the server remove the namespace of a test that has ended. What goes wrong shows in remove.
func (p *places) release(ctx context.Context, namespace string) {
	ctx, cancel := context.WithTimeout(ctx, cleanupTimeout)
	defer cancel()
	_ = p.kube.CoreV1().Namespaces().Delete(ctx, namespace, metav1.DeleteOptions{})
	_ = p.freePods(ctx, namespace)
}

// freePods has the Pods of a namespace go at once: behind the node of the suite is no kubelet that would end their grace periods,
// and finalizers that a test put on them hold them too.
func (p *places) freePods(ctx context.Context, namespace string) error {
	pods, err := p.kube.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	var errs []error
	for _, pod := range pods.Items {
		if pod.Spec.NodeName == "" || p.plays(pod.Spec.NodeName) {
			errs = append(errs, p.kube.CoreV1().Pods(namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0)}))
		}
	}
	return errors.Join(errs...)
}

// plays tells whether the suite is the kubelet of a node.
func (p *places) plays(node string) bool {
	p.lock.Lock()
	defer p.lock.Unlock()
	return slices.Contains(p.nodes, node)
}

// node returns the name of the node that tests bind Pods to. The first caller makes it.
func (p *places) node(ctx context.Context) (string, error) {
	p.lock.Lock()
	defer p.lock.Unlock()
	if p.nodeName != "" {
		return p.nodeName, nil
	}
	made, err := p.newNode(ctx)
	p.nodeName = made
	return made, err
}

// lostNode makes a node for one test, which may delete it. It is removed with the others where the test doesn't come to that.
func (p *places) lostNode(ctx context.Context) (string, error) {
	p.lock.Lock()
	defer p.lock.Unlock()
	return p.newNode(ctx)
}

// newNode makes a node. The caller holds the lock.
func (p *places) newNode(ctx context.Context) (string, error) {
	made, err := p.kube.CoreV1().Nodes().Create(ctx, &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "conformance-"},
		Spec:       corev1.NodeSpec{Unschedulable: true},
	}, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("create a node that the suite plays: %w", err)
	}
	p.nodes = append(p.nodes, made.Name)
	return made.Name, nil
}

// remove removes all, waits until it is gone, and says what is left where that takes too long.
func (p *places) remove(ctx context.Context) error {
	p.lock.Lock()
	namespaces, nodes := p.namespaces, p.nodes
	p.lock.Unlock()
	var errs []error
	for _, namespace := range namespaces {
		if err := p.waitGone(ctx, namespace); err != nil {
			errs = append(errs, err)
		}
	}
	for _, node := range nodes {
		err := p.kube.CoreV1().Nodes().Delete(ctx, node, metav1.DeleteOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			errs = append(errs, fmt.Errorf("delete a node that the suite played: %w", err))
		}
	}
	return errors.Join(errs...)
}

func (p *places) waitGone(ctx context.Context, namespace string) error {
	var last error
	err := wait.PollUntilContextCancel(ctx, slowestPoll, true, func(ctx context.Context) (bool, error) {
		found, err := p.kube.CoreV1().Namespaces().Get(ctx, namespace, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			return true, nil
		case err != nil:
			last = err
			return false, nil
		}
		if found.DeletionTimestamp == nil {
			_ = p.kube.CoreV1().Namespaces().Delete(ctx, namespace, metav1.DeleteOptions{})
		}
		// Failing to hurry a Pod along is of interest only where the namespace stays.
		last = errors.Join(fmt.Errorf("conditions of the namespace: %v", found.Status.Conditions), p.freePods(ctx, namespace))
		return false, nil
	})
	if err != nil {
		return fmt.Errorf("namespace %s is not removed: %w; last: %w", namespace, err, last)
	}
	return nil
}

// tolerate runs a write again while others write the same object.
func tolerate(write func() error) error {
	backoff := retry.DefaultBackoff
	backoff.Steps, backoff.Cap = 20, time.Second
	return retry.RetryOnConflict(backoff, write)
}
