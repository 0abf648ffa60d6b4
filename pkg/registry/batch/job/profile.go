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
	"fmt"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
)

// Profile names the policies that a Job gets when it is made through batch/v1, which has no fields for them.
type Profile string

const (
	// ProfileKubernetes behaves as Kubernetes 1.37 does.
	ProfileKubernetes Profile = "kubernetes"

	// ProfileGuide behaves as our own group does by default.
	ProfileGuide Profile = "guide"
)

// ParseProfile returns the profile of that name, or an error that lists the names there are.
func ParseProfile(name string) (Profile, error) {
	switch profile := Profile(name); profile {
	case ProfileKubernetes, ProfileGuide:
		return profile, nil
	default:
		return "", fmt.Errorf("unknown profile %q: must be %s or %s", name, ProfileKubernetes, ProfileGuide)
	}
}

// fillPolicies sets every policy that is unset. It leaves none: our group's defaults run whenever a Job is decoded from
// etcd and would turn one that is left unset into the guide's.
func (p Profile) fillPolicies(spec *batch.JobSpec) {
	disruption, suspend, workQueue := batch.DisruptionCount, batch.SuspendDeletePods, batch.WorkQueueCompleteOnFirstSuccess
	if p == ProfileGuide {
		disruption, suspend, workQueue = batch.DisruptionIgnore, batch.SuspendKeepPods, batch.WorkQueueRunUntilDeleted
	}
	if spec.DisruptionPolicy == nil {
		spec.DisruptionPolicy = &disruption
	}
	if spec.SuspendPolicy == nil {
		spec.SuspendPolicy = &suspend
	}
	if spec.WorkQueuePolicy == nil && spec.Completions == nil {
		spec.WorkQueuePolicy = &workQueue
	}
}

// carryPolicies takes the policies over from the old spec: what a client can't see it neither changes nor loses. A work queue that is given completions
// has no policy for work queues any more; that it may not be given them is what the client is told, and not a word about a field that it
// doesn't know.
func carryPolicies(spec, old *batch.JobSpec) {
	spec.DisruptionPolicy = old.DisruptionPolicy
	spec.SuspendPolicy = old.SuspendPolicy
	spec.WorkQueuePolicy = nil
	if spec.Completions == nil {
		spec.WorkQueuePolicy = old.WorkQueuePolicy
	}
}
