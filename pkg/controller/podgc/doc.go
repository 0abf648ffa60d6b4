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

// Package podgc ends and removes Pods that nobody else will: those of a node that is gone, those that were deleted before they had a
// node, those on a node that was declared out of service, and ended ones beyond a limit. It also evicts the Pods of a node that has
// ceased to report. The rules are those of Kubernetes' Pod garbage collector, node lifecycle and taint eviction controllers, as far as Jobs
// depend on them (rule B83).
//
// A Pod that runs for ever on a machine that no longer exists would keep its Job from ever finishing. So it is failed, with the condition
// DisruptionTarget, which podFailurePolicy and disruptionPolicy go by, and then deleted without a grace period. What it has for
// finalizers holds it until its Job has counted it.
package podgc
