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

package nodeagent

// Reasons of events. A Pod that fails as a whole has an event of the reason in its status. All but reasonImageNotPulled and reasonLimitsNotEnforced are those of a kubelet or of Kubernetes' scheduler.
const (
	reasonScheduled           = "Scheduled"
	reasonFailedScheduling    = "FailedScheduling"
	reasonCreated             = "Created"
	reasonStarted             = "Started"
	reasonKilling             = "Killing"
	reasonFailed              = "Failed"
	reasonBackOff             = "BackOff"
	reasonFailedPostStartHook = "FailedPostStartHook"
	reasonFailedPreStopHook   = "FailedPreStopHook"
	reasonUnhealthy           = "Unhealthy"
	reasonProbeWarning        = "ProbeWarning"
	reasonFailedMount         = "FailedMount"
	reasonDNSConfigForming    = "DNSConfigForming"
	reasonInvalidVariables    = "InvalidEnvironmentVariableNames"
	// reasonImageNotPulled says, once per Pod, that an image names nothing here.
	reasonImageNotPulled = "ImageNotPulled"
	// reasonLimitsNotEnforced says, once per Pod, that resources.limits bind nothing here.
	reasonLimitsNotEnforced = "LimitsNotEnforced"
)

// Reasons in the status of Pods and containers.
const (
	// reasonUnsupportedField is ours: status.reason of a Pod that asks for something this node can't honour.
	reasonUnsupportedField = "UnsupportedField"

	reasonDeadlineExceeded  = "DeadlineExceeded"
	messageDeadlineExceeded = "Pod was active on the node longer than the specified deadline"

	reasonContainerCreating  = "ContainerCreating"
	reasonPodInitializing    = "PodInitializing"
	reasonCreateConfigError  = "CreateContainerConfigError"
	reasonCreateError        = "CreateContainerError"
	reasonCrashLoopBackOff   = "CrashLoopBackOff"
	reasonPostStartHookError = "PostStartHookError"
	reasonRestartingAll      = "RestartingAllContainers"
	messageRestartingAll     = "The container is removed because RestartAllContainers in place"
	reasonCompleted          = "Completed"
	reasonError              = "Error"
	reasonOOMKilled          = "OOMKilled"
	reasonContainerCannotRun = "ContainerCannotRun"
	reasonStatusUnknown      = "ContainerStatusUnknown"
	messageStatusUnknown     = "The container could not be located when the pod was terminated"
	statusUnknownCode        = 137

	// reasonEvicted is of Pods that take more of the node than they may.
	reasonEvicted = "Evicted"

	// reasonNodeLost is of Pods and containers that went with the machine when it was restarted.
	reasonNodeLost  = "NodeLost"
	messageNodeLost = "The machine was restarted while the Pod was running on it"
	// reasonTerminated is the reason of the condition DisruptionTarget where a kubelet ends a Pod that did nothing wrong.
	reasonTerminated = "TerminationByKubelet"
)
