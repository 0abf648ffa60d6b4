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

// Package kubelet serves the HTTP API of a kubelet for the node agent: what an API server calls for kubectl logs, exec, attach and
// port-forward.
//
//	GET       /containerLogs/NAMESPACE/POD/CONTAINER  what the container printed
//	GET, POST /exec/NAMESPACE/POD[/UID]/CONTAINER     a command in the container, over SPDY or a WebSocket
//	GET, POST /attach/NAMESPACE/POD[/UID]/CONTAINER   the streams of the container itself, likewise
//	GET, POST /portForward/NAMESPACE/POD[/UID]        connections to ports of the Pod, likewise
//	GET       /pods                                   the Pods of this node
//	GET       /metrics                                metrics of this process
//	GET       /healthz, /healthz/ping                 whether the agent works
//
// Paths, parameters, codes and messages are those of Kubernetes' kubelet, which API servers of clusters know. They translate
// what newer clients speak into SPDY, so no other protocol is needed here.
package kubelet
