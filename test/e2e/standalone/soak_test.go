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

package standalone

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	soakPods = flag.Int("soak-pods", 100, "how many Pods TestSoak runs")
	soakSeed = flag.Uint64("soak-seed", uint64(time.Now().UnixNano()), "what TestSoak kills and when; it also depends on the machine's speed")
)

const (
	// soakJobPods is the number of indexes of each Job, soakLines what each of its Pods prints.
	soakJobPods = 50
	soakLines   = 20
	// soakParallelism is how many Pods of each Job run at a time.
	soakParallelism = 10
)

// soakJob makes an Indexed Job whose Pods keep a diary, "+ UID INDEX" at their start and "- UID INDEX" at their end, print, leave a process
// behind, and use volumes where the machine lets them.
func soakJob(name string, d diary, mark string) string {
	script := fmt.Sprintf(`echo "+,$UID_OF_POD,$JOB_COMPLETION_INDEX" >>%[1]s; sleep %[2]s & i=0; while [ $i -lt %[3]d ]; do echo "line $i of $JOB_COMPLETION_INDEX"; i=$((i+1)); done; `+
		`sleep $((JOB_COMPLETION_INDEX %% 3)).$((JOB_COMPLETION_INDEX %% 10)); echo "-,$UID_OF_POD,$JOB_COMPLETION_INDEX" >>%[1]s`, d.path, mark, soakLines)
	manifest := strings.ReplaceAll(jobManifest(name, script, "completionMode: Indexed", fmt.Sprintf("completions: %d", soakJobPods),
		fmt.Sprintf("parallelism: %d", soakParallelism), "backoffLimitPerIndex: 1000"), "$(", "$$(") + `
        env: [{name: UID_OF_POD, valueFrom: {fieldRef: {fieldPath: metadata.uid}}}]
        resources: {requests: {cpu: 5m, memory: 1Mi}, limits: {cpu: 500m, memory: 256Mi}}
`
	if os.Geteuid() == 0 {
		manifest += `
        volumeMounts: [{name: scratch, mountPath: /soak}, {name: memory, mountPath: /soak-memory}]
      volumes: [{name: scratch, emptyDir: {}}, {name: memory, emptyDir: {medium: Memory}}]
`
	}
	return manifest
}

// TestSoak runs Jobs on a server that is killed again and again, as are containers, their supervisors, and Pods. At the end every index must have
// succeeded once, by the API and by the diary, every Pod must have ended as it really did, and nothing may be left on the machine.
func TestSoak(t *testing.T) {
	t.Parallel()
	t.Logf("%d Pods, -soak-seed=%d", *soakPods, *soakSeed)
	s := ownServer(t)
	t.Cleanup(func() { // a failed run leaves no mounts either
		if s.running == nil {
			s.mustStart(t)
		}
	})
	if _, err := s.stop(); err != nil {
		t.Fatal(err)
	}
	s.flags = []string{"--job-pod-failure-backoff=100ms", "--job-pod-failure-backoff-max=1s"}
	s.mustStart(t)
	soak := &soak{client: newClient(t, s), diary: newDiary(t), mark: newMark(), random: rand.New(rand.NewPCG(*soakSeed, 0)), touched: map[string]string{}, deleted: map[string]string{}}
	for i := range max(1, *soakPods/soakJobPods) {
		soak.jobs = append(soak.jobs, fmt.Sprintf("job-%d", i))
		soak.client.apply(t, soakJob(soak.jobs[i], soak.diary, soak.mark))
	}
	soak.run(t)
	for _, job := range soak.jobs {
		soak.checkJob(t, job)
	}
	if t.Failed() {
		return // what is left may tell why
	}
	soak.client.run(t, "delete", "jobs", "--all", "--cascade=foreground", "--timeout=100s")
	soak.checkMachine(t)
}

// soak is one run of TestSoak.
type soak struct {
	client *client
	jobs   []string
	diary  diary
	mark   string
	random *rand.Rand
	// touched says of Pods, by UID, what was done to them.
	touched map[string]string
	// deleted are the Pods that were deleted, their UIDs by their names.
	deleted map[string]string
	kills   map[string]int
}

// run kills until enough was killed, and waits until all Jobs are complete.
func (k *soak) run(t *testing.T) {
	t.Helper()
	budget := map[string]int{"server": max(3, *soakPods/100), "supervisor": *soakPods / 10, "container": *soakPods / 5, "pod": *soakPods / 20}
	k.kills = map[string]int{}
	deadline := time.Now().Add(2*time.Minute + time.Duration(*soakPods)*time.Second/2)
	lastServer, lastLook := time.Now(), time.Now()
	for complete := 0; complete < len(k.jobs); {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d Jobs are complete; killed: %v\n%s", complete, len(k.jobs), k.kills, k.client.run(t, "get", "jobs,pods"))
		}
		// A pace, not a wait: things happen at any time.
		time.Sleep(time.Duration(k.random.IntN(60)) * time.Millisecond)
		kind := "container"
		switch n := k.random.IntN(20); {
		case n == 0:
			kind = "server"
		case n == 1:
			kind = "pod"
		case n < 8:
			kind = "supervisor"
		}
		switch {
		case k.kills[kind] >= budget[kind]:
		case kind == "server":
			// Each server gets the time to do something.
			if time.Since(lastServer) > 2*time.Second {
				k.client.server.kill()
				k.killProcesses(k.random.IntN(3)) // nobody sees it happen
				k.client.server.mustStart(t)
				k.kills[kind]++
				lastServer = time.Now()
			}
		case kind == "pod":
			k.deletePod(t)
		default:
			k.killProcess(kind)
		}
		if time.Since(lastLook) > 3*time.Second {
			complete = strings.Count(k.client.run(t, "get", "jobs", "-o", `jsonpath={.items[*].status.conditions[?(@.type=="Complete")].status}`), "True")
			lastLook = time.Now()
		}
	}
	t.Logf("killed: %v", k.kills)
}

// killProcesses kills containers while no server runs.
func (k *soak) killProcesses(n int) {
	for range n {
		k.killProcess([]string{"container", "supervisor"}[k.random.IntN(2)])
	}
}

// killProcess kills one container, or one supervisor, that runs.
func (k *soak) killProcess(kind string) {
	running := runningContainers(k.client.server.dataDir)
	if len(running) == 0 {
		return
	}
	victim := running[k.random.IntN(len(running))]
	pid, start := victim.PID, victim.Start
	if kind == "supervisor" {
		pid, start = victim.SupervisorPID, victim.SupervisorStart
	}
	if killProcess(pid, start) {
		k.touched[victim.podUID] += kind + " "
		k.kills[kind]++
	}
}

// deletePod deletes a Pod that runs, as a user would.
func (k *soak) deletePod(t *testing.T) {
	t.Helper()
	list := strings.Fields(k.client.run(t, "get", "pods", "-o", `jsonpath={range .items[?(@.status.phase=="Running")]}{.metadata.name},{.metadata.uid} {end}`))
	if len(list) == 0 {
		return
	}
	name, uid, _ := strings.Cut(list[k.random.IntN(len(list))], ",")
	k.touched[uid] += "pod "
	k.deleted[name] = uid
	k.kills["pod"]++
	k.client.run(t, "delete", "pod", name, "--wait=false", "--ignore-not-found")
}

// checkJob compares what the API says of a Job with what its Pods did.
func (k *soak) checkJob(t *testing.T, name string) {
	t.Helper()
	status := k.client.job(t, "job", name).Status
	if want := fmt.Sprintf("0-%d", soakJobPods-1); status.Succeeded != soakJobPods || status.CompletedIndexes != want || status.Active != 0 ||
		len(status.UncountedTerminatedPods.Succeeded)+len(status.UncountedTerminatedPods.Failed) != 0 {
		t.Errorf("status of %s: %+v, want %d succeeded", name, status, soakJobPods)
	}
	lines := k.diary.lines(t)
	logs := k.client.run(t, "logs", "-l", "job-name="+name, "--tail=-1", "--prefix", "--max-log-requests=10000", "--ignore-errors")
	succeeded := map[string]int{}
	failed := 0
	for _, p := range k.client.pods(t, name) {
		uid, index := p.Metadata.UID, p.Metadata.Annotations["batch.kubernetes.io/job-completion-index"]
		started, ended := count(lines, "+,"+uid+","+index), count(lines, "-,"+uid+","+index)
		if started > 1 || ended > 1 || ended > started {
			t.Errorf("Pod %s, index %s: the machine saw %d starts and %d ends", p.Metadata.Name, index, started, ended)
		}
		printed := strings.Count(logs, "[pod/"+p.Metadata.Name+"/main] line ")
		switch p.Status.Phase {
		case "Succeeded":
			succeeded[index]++
			if ended != 1 || printed != soakLines {
				t.Errorf("Pod %s, index %s, is said to have succeeded: the machine saw %d ends, the log has %d of %d lines", p.Metadata.Name, index, ended, printed, soakLines)
			}
		case "Failed":
			failed++
			k.checkFailed(t, p)
		default:
			t.Errorf("Pod %s of a complete Job has the phase %q", p.Metadata.Name, p.Status.Phase)
		}
	}
	for index := range soakJobPods {
		if n := succeeded[fmt.Sprint(index)]; n > 1 || (n == 0 && !k.deletedAtItsEnd(lines, fmt.Sprintf("%s-%d-", name, index))) {
			t.Errorf("%s: %d Pods of index %d succeeded; the diary of all Jobs has %q", name, n, index, matching(lines, fmt.Sprintf(",%d", index)))
		}
	}
}

// checkFailed checks that a Pod failed for what was done to it.
func (k *soak) checkFailed(t *testing.T, p pod) {
	t.Helper()
	done := k.touched[p.Metadata.UID]
	if done == "" {
		t.Errorf("Pod %s failed, but nobody had done anything to it: %+v", p.Metadata.Name, p.Status)
		return
	}
	if len(p.Status.ContainerStatuses) == 0 || p.Status.ContainerStatuses[0].State.Terminated == nil {
		t.Errorf("Pod %s (%s) failed, its container's state is unknown: %+v", p.Metadata.Name, done, p.Status)
		return
	}
	ended := p.Status.ContainerStatuses[0].State.Terminated
	if ended.ExitCode != 137 && !strings.Contains(done, "pod") {
		t.Errorf("Pod %s (%s) has the exit code %d, want 137", p.Metadata.Name, done, ended.ExitCode)
	}
	if ended.Reason == "ContainerStatusUnknown" && !strings.Contains(done, "supervisor") {
		t.Errorf("Pod %s (%s) has the reason %s, its supervisor was left alone", p.Metadata.Name, done, ended.Reason)
	}
}

// deletedAtItsEnd tells whether a Pod with the prefix was deleted that had done its work by then: the API may have counted it, and shows it no more.
func (k *soak) deletedAtItsEnd(lines []string, prefix string) bool {
	for name, uid := range k.deleted {
		if strings.HasPrefix(name, prefix) && slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, "-,"+uid+",") }) {
			return true
		}
	}
	return false
}

func matching(lines []string, suffix string) []string {
	var found []string
	for _, line := range lines {
		if strings.HasSuffix(line, suffix) {
			found = append(found, line)
		}
	}
	return found
}

func count(lines []string, line string) int {
	n := 0
	for _, l := range lines {
		if l == line {
			n++
		}
	}
	return n
}

// checkMachine checks that nothing is left of the Pods while the server still runs, and nothing at all once it has ended.
func (k *soak) checkMachine(t *testing.T) {
	t.Helper()
	var uids []string
	for _, line := range k.diary.lines(t) {
		if fields := strings.Split(line, ","); len(fields) == 3 && !slices.Contains(uids, fields[1]) {
			uids = append(uids, fields[1])
		}
	}
	dataDir := k.client.server.dataDir
	eventually(t, 2*time.Minute, func() string {
		if left := processesWith(k.mark); len(left) > 0 {
			return fmt.Sprintf("processes of Pods still run: %v", left)
		}
		if left := podFolders(dataDir); len(left) > 0 {
			return fmt.Sprintf("folders of Pods are left: %v", left)
		}
		if left := mountsBelow(t, dataDir); len(left) > 0 {
			return fmt.Sprintf("mounts are left: %v", left)
		}
		if left := cgroupsOf(uids); len(left) > 0 {
			return fmt.Sprintf("cgroups are left: %v", left)
		}
		return ""
	})
	if _, err := k.client.server.stop(); err != nil {
		t.Fatal(err)
	}
	eventually(t, time.Minute, func() string {
		if left := processesUsing(dataDir); len(left) > 0 {
			return fmt.Sprintf("processes have files of the data folder open: %v", left)
		}
		return ""
	})
}
