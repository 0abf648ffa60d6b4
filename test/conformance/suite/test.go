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

import "slices"

// Profile is the role that the suite plays toward a server, and so the kind of test that can run.
type Profile string

const (
	// ProfileAPI needs an API server and its controllers, and no node: the suite plays the kubelet, by writing pods/status.
	ProfileAPI Profile = "api"

	// ProfileNode needs a node on which Pods really run. The commands of its Pods exist on a host and in busybox.
	ProfileNode Profile = "node"
)

// Profiles are all profiles.
func Profiles() []Profile { return []Profile{ProfileAPI, ProfileNode} }

// The groups that serve Jobs. A [Test] names one where its rule holds in that group only.
const (
	// GroupKubernetes is Kubernetes' own group.
	GroupKubernetes = "batch"
	// GroupJobserver is jobserver's group, whose Jobs have the guide's defaults and three policies more.
	GroupJobserver = "batch.jobserver.dev"
)

// Feature is something that not every server has, and that a test may need.
type Feature string

const (
	// FeatureBothGroups: the server serves Jobs through both groups.
	FeatureBothGroups Feature = "BothGroups"
	// FeatureEviction: Pods have the subresource eviction.
	FeatureEviction Feature = "Eviction"
	// FeatureGarbageCollector: owner references are acted on, so that propagation policies mean something.
	FeatureGarbageCollector Feature = "GarbageCollector"
	// FeatureQuota: ResourceQuotas are served and enforced.
	FeatureQuota Feature = "ResourceQuota"
	// FeatureReadyNode: at least one Node is Ready.
	FeatureReadyNode Feature = "ReadyNode"
	// FeatureMetrics: the metrics of the Job controller can be read. Those of Kubernetes are not the API server's but the controller
	// manager's, whose address one has to say.
	FeatureMetrics Feature = "Metrics"
	// FeatureProtobuf: Jobs are served as protobuf.
	FeatureProtobuf Feature = "Protobuf"
	// FeatureAnyPod: Jobs adopt any Pod that their selectors match. Beside a cluster's own Job controller, jobserver's looks at Pods with a label of its
	// own alone.
	FeatureAnyPod Feature = "AnyPod"
	// FeatureUnmarkedPods: the Pods of Jobs have Kubernetes' labels and no others. Beside a cluster, those of jobserver's have one more.
	FeatureUnmarkedPods Feature = "UnmarkedPods"
)

// Features returns all features.
func Features() []Feature {
	return []Feature{
		FeatureBothGroups, FeatureEviction, FeatureGarbageCollector, FeatureQuota, FeatureReadyNode, FeatureMetrics, FeatureProtobuf, FeatureAnyPod,
		FeatureUnmarkedPods,
	}
}

// Test is one statement about Jobs, and the code that finds out whether it is true.
type Test struct {
	// Name is unique among all tests: Subject/Statement, in letters and digits.
	Name string
	// Description is the statement, a sentence that a user of Jobs can read.
	Description string
	// Source says where the statement comes from: a section of the guide, a rule of the reference, a KEP, an API convention.
	Source string

	// Profile is the profile that the test belongs to. Empty: ProfileAPI.
	Profile Profile
	// Group restricts the test to one group, and to servers that are judged by it. Empty: it holds in both.
	Group string
	// Features are what the server must have; where it lacks one, the test is skipped.
	Features []Feature
	// KubernetesPolicies: the statement is true of Jobs with Kubernetes' policies. Through jobserver's group the Jobs of the
	// test ask for them explicitly; through batch/v1 they are what every Job has.
	KubernetesPolicies bool
	// UpstreamBug names the defect of Kubernetes because of which it fails the test. Empty for all tests that it passes.
	UpstreamBug string

	// Run is the test.
	Run func(t *T)
}

func (t Test) profile() Profile {
	if t.Profile == "" {
		return ProfileAPI
	}
	return t.Profile
}

// Select returns the tests of a profile. Those that hold in another group only are among them, and skipped.
func Select(tests []Test, profile Profile) []Test {
	return slices.DeleteFunc(slices.Clone(tests), func(test Test) bool { return test.profile() != profile })
}
