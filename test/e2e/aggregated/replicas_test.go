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
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// TestReplicas kills the replica that leads while 100 Jobs run.
func TestReplicas(t *testing.T) {
	slow(t)
	for _, count := range []int{2, 3} {
		t.Run(fmt.Sprint(count), func(t *testing.T) {
			e := startEtcd(t, 1)
			in := ownInstallation(t, setup{overlay: "external-etcd", busy: true, replicas: count, serverArgs: []string{e.flag()}})
			in.hundredJobs(t, func() {
				leader := in.leader(t)
				if err := in.replicas[leader].Kill(); err != nil {
					t.Fatal(err)
				}
				killed := time.Now()
				next := in.leader(t)
				took := time.Since(killed)
				t.Logf("replica %d leads %s after replica %d was killed", next, took, leader)
				if took > handOverLimit {
					t.Errorf("for %s nobody led", took)
				}
			})
		})
	}
}

// TestEtcdMemberKilled kills the members of an etcd of three, one after the other and the one that leads first, while 100 Jobs run.
func TestEtcdMemberKilled(t *testing.T) {
	slow(t)
	e := startEtcd(t, 3)
	in := ownInstallation(t, setup{overlay: "external-etcd", busy: true, replicas: 2, serverArgs: []string{e.flag()}})
	in.leader(t)
	in.hundredJobs(t, func() {
		o, stop := in.observe(t)
		defer stop()
		first := e.leader(t)
		for n := range e.members {
			in.killMember(t, e, o, (first+n)%len(e.members))
		}
	})
}

// killMember kills a member of etcd and starts it again once a Job has run without it. It measures what that interrupts.
func (in *installation) killMember(t *testing.T, e *etcdMembers, o *observer, i int) {
	t.Helper()
	leads, before := e.leader(t) == i, in.leader(t)
	killed := time.Now()
	e.kill(t, i)
	u := user{in: in, kubeconfig: in.admin.kubeconfig, namespace: "default"}
	name := fmt.Sprintf("without-%d", i)
	eventually(t, waitLong, func() string {
		_, err := u.try(jobYAML(name, "true"), "apply", "-f", "-")
		return describeError(err)
	})
	u.wait(t, name, "Complete")
	after := in.leader(t)
	interrupted := o.since(killed)
	t.Logf("etcd member %d (leads: %t) was killed; replica %d led before and %d after that: %s", i, leads, before, after, interrupted)
	interrupted.check(t)
	e.start(t, i)
	e.waitHealthy(t, i)
}

// leader waits until a replica leads that runs, and returns which.
func (in *installation) leader(t *testing.T) int {
	t.Helper()
	leader := -1
	eventually(t, waitLong, func() string {
		var said []string
		for i, replica := range in.replicas {
			if !replica.Running() {
				continue
			}
			text, leads := replica.leads()
			if leads {
				leader = i
				return ""
			}
			said = append(said, fmt.Sprintf("%d: %s", i, text))
		}
		return "no replica leads: " + strings.Join(said, "\n")
	})
	return leader
}

// hundredJobs runs 100 Jobs with two indexes each, makes trouble once some of them are done, and checks that each index of each Job ran once
// and was counted once.
func (in *installation) hundredJobs(t *testing.T, trouble func()) {
	t.Helper()
	const count, indexes = 100, 2
	u := in.newNamespace(t)
	d := newDiary(t)
	var names []string
	var wait sync.WaitGroup
	for i := range count {
		name := fmt.Sprintf("job-%03d", i)
		names = append(names, name)
		job := jobFrom(t, jobYAML(name, d.command(name, "2"), "completions: 2", "parallelism: 2", "completionMode: Indexed"))
		wait.Go(func() {
			if _, err := in.jobs.Namespace(u.namespace).Create(t.Context(), job, metav1.CreateOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	eventually(t, waitLong, func() string {
		if got := len(d.lines(t)); got < count {
			return describeCount("lines in the diary", got, count)
		}
		return ""
	})
	trouble()
	var jobs []unstructured.Unstructured
	eventually(t, 5*time.Minute, func() string {
		list, err := in.jobs.Namespace(u.namespace).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			return err.Error()
		}
		complete := 0
		for _, job := range list.Items {
			if _, done, _ := unstructured.NestedString(job.Object, "status", "completionTime"); done {
				complete++
			}
		}
		if jobs = list.Items; complete < count {
			return describeCount("complete Jobs", complete, count)
		}
		return ""
	})
	for _, job := range jobs {
		status := fmt.Sprint(job.Object["status"].(map[string]any)["completedIndexes"], job.Object["status"].(map[string]any)["succeeded"], job.Object["status"].(map[string]any)["failed"])
		if status != fmt.Sprint("0,1", int64(indexes), nil) {
			t.Errorf("%s: indexes, succeeded, failed: %s", job.GetName(), status)
		}
	}
	pods, err := in.kube.CoreV1().Pods(u.namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(pods.Items) != count*indexes {
		t.Error(describeCount("Pods", len(pods.Items), count*indexes))
	}
	d.check(t, names, indexes)
}
