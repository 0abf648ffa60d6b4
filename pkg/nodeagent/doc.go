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

// Package nodeagent is a node: the kubelet that runs Pods, as processes of this machine, and for the one node of a standalone server
// the scheduler that admits Pods to it.
//
// The parts, in the order in which a Pod meets them:
//
//	watch.go        learns from the API which Pods there are
//	scheduler.go    queues Pods without a node, binds those that fit; fit.go decides (pure), neighbours.go about Pods among each other, fairness.go
//	                who waits for whom; taints.go evicts whom a taint drives off
//	admission.go    checks whether a Pod that others bound may be here
//	support.go      names the fields that this node can't honour (pure)
//	actions.go      decides what to start and to stop, from the Pod, the state of its containers and the time (pure); initcontainers.go
//	                the order of init containers and sidecars, restarts.go who starts again and when, rounds.go RestartAllContainers,
//	                ephemeral.go what was added to a running Pod, stop.go who is stopped, in which order and why, probes.go what probes and hooks mean
//	environment.go  turns a container's env, command and args into those of a process; configwatch.go wakes Pods that wait for what it refers to
//	status.go       computes the status that a kubelet would write (pure); conditions.go its conditions
//	sync.go         looks at one Pod, does what actions.go decided, writes what status.go computed, deletes the Pod at its end
//	beside.go       keeps what runs beside containers: hooks.go their lifecycle hooks, prober.go their probes
//	collect.go      brings Pods to their end that were deleted before they had a node
//	logs.go         serves what containers printed; logread.go reads it
//	node.go         registers the Node and keeps its status fresh; registration.go what it is told to say, and its heartbeat;
//	                pressure.go what the machine is short of
//
// Package kubelet below it serves the API of a kubelet. Package runtime makes containers into processes that outlive the server.
//
// Kubernetes' kubelet and scheduler are the reference of every rule; the differences are those of a node without images
// and without isolation: the command is looked up on the host, and the Pod's IP is the loopback address.
package nodeagent
