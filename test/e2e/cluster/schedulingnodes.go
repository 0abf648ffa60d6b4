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

package cluster

// SchedulingNodes is the manifest of the rights that nodes need to schedule Pods themselves (apiserver node --schedule-pods), which they don't have by default.
const SchedulingNodes = `apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: scheduling-nodes}
rules:
- {apiGroups: [""], resources: [pods], verbs: [get, list, watch]}
- {apiGroups: [""], resources: [pods/binding], verbs: [create]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: scheduling-nodes}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: scheduling-nodes}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: system:nodes}]
`
