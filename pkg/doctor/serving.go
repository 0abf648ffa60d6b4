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

package doctor

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
)

// judgeService judges whether the Service that the registration names is there, with the port that it names.
func judgeService(options Options, facts Facts) Finding {
	if facts.APIService.Err != nil || facts.APIService.Value.Spec.Service == nil {
		return unknown("no service is registered")
	}
	reference := facts.APIService.Value.Spec.Service
	service, err := facts.Service.Value, facts.Service.Err
	switch {
	case apierrors.IsNotFound(err):
		return bad(mend("kubectl create -f "+manifests+"base/service.yaml").noting("your overlay of it, where you have one"),
			"service %s/%s is not there", reference.Namespace, reference.Name)
	case err != nil:
		return unknown("reading service %s/%s: %v", reference.Namespace, reference.Name, err)
	case service.Spec.Type == corev1.ServiceTypeExternalName:
		return good("it stands for the host %s", service.Spec.ExternalName)
	case len(service.Spec.Ports) == 0:
		return bad(advise("give it the port that the server listens on"), "service %s/%s has no ports", service.Namespace, service.Name)
	}
	port := registeredPort(reference)
	if portOf(service, port) == nil {
		return bad(patchAPIService(options, fmt.Sprintf(`{"spec":{"service":{"port":%d}}}`, likelyPort(service))).
			noting("a server that runs writes what its --service-port says"),
			"service %s/%s has no port %d, which the APIService names", service.Namespace, service.Name, port)
	}
	return good("service %s/%s has port %d", service.Namespace, service.Name, port)
}

// portOf is the Service's port of a number, nil where it has none.
func portOf(service *corev1.Service, number int32) *corev1.ServicePort {
	for i := range service.Spec.Ports {
		if service.Spec.Ports[i].Port == number {
			return &service.Spec.Ports[i]
		}
	}
	return nil
}

// likelyPort is the number of the Service's port that the API is served on.
func likelyPort(service *corev1.Service) int32 {
	for _, port := range service.Spec.Ports {
		if port.Name == "https" {
			return port.Port
		}
	}
	return service.Spec.Ports[0].Port
}

// judgeEndpoints judges whether a ready server is behind the Service, and if not, what its Pods wait for.
func judgeEndpoints(options Options, facts Facts) Finding {
	switch {
	case facts.Service.Err != nil || facts.Service.Value == nil:
		return unknown("there is no service")
	case facts.Service.Value.Spec.Type == corev1.ServiceTypeExternalName:
		return good("the host is outside of the cluster")
	case facts.Slices.Err != nil:
		return unknown("reading endpoints: %v", facts.Slices.Err)
	}
	ready, portless := readyEndpoints(facts)
	switch {
	case ready > 0:
		return good("%d ready", ready)
	case portless > 0:
		return bad(aimPort(facts), "%d are ready, but have no such port: the Service's targetPort is none of the Pods'", portless)
	case len(facts.Pods.Value) == 0:
		return noPods(options, facts)
	}
	var waits []string
	for _, pod := range facts.Pods.Value {
		waits = append(waits, fmt.Sprintf("%s: %s", pod.Name, whyNotReady(pod)))
	}
	return bad(advise("kubectl describe pods -n %s -l %s says more, and so does %s", options.Namespace, workloadLabel, readLog(options)),
		"no Pod is ready: %s", strings.Join(waits, "; "))
}

// readyEndpoints counts the endpoints that are ready, and those of them that lack the port which the APIService names.
func readyEndpoints(facts Facts) (ready, portless int) {
	name := ""
	if port := portOf(facts.Service.Value, registeredPort(facts.APIService.Value.Spec.Service)); port != nil {
		name = port.Name
	}
	for _, slice := range facts.Slices.Value {
		hasPort := false
		for _, port := range slice.Ports {
			hasPort = hasPort || port.Port != nil && (port.Name == nil && name == "" || port.Name != nil && *port.Name == name)
		}
		for _, endpoint := range slice.Endpoints {
			switch {
			case endpoint.Conditions.Ready != nil && !*endpoint.Conditions.Ready:
			case hasPort:
				ready++
			default:
				portless++
			}
		}
	}
	return ready, portless
}

// aimPort leads the port that the APIService names to that of the Pods.
func aimPort(facts Facts) Cure {
	index := slices.IndexFunc(facts.Service.Value.Spec.Ports, func(port corev1.ServicePort) bool {
		return port.Port == registeredPort(facts.APIService.Value.Spec.Service)
	})
	if index < 0 {
		return advise("see the link of the service")
	}
	return mend(fmt.Sprintf(`kubectl patch service -n %s %s --type=json -p '[{"op":"add","path":"/spec/ports/%d/targetPort","value":"https"}]'`,
		facts.Service.Value.Namespace, facts.Service.Value.Name, index))
}

// noPods says why the Service has no Pods: nobody makes any, or it looks for others.
func noPods(options Options, facts Facts) Finding {
	const none = "no Pod of the server is there"
	if len(facts.Workloads.Value) == 0 {
		return bad(mend("kubectl apply -k "+overlay(options, facts)).noting("docs/install.md says which overlay is for what"), none+", nor a Deployment or StatefulSet that makes one")
	}
	workload := facts.Workloads.Value[0]
	of := workload.Kind + "/" + workload.Name
	selector := facts.Service.Value.Spec.Selector
	switch {
	case len(selector) == 0 || !labels.SelectorFromSet(selector).Matches(labels.Set(workload.Labels)):
		key, value, _ := strings.Cut(workloadLabel, "=")
		change, err := json.Marshal([]map[string]any{{"op": "add", "path": "/spec/selector", "value": map[string]string{key: value}}})
		if err != nil {
			return unknown("the selector of the Service: %v", err)
		}
		return bad(mend(fmt.Sprintf("kubectl patch service -n %s %s --type=json -p '%s'", facts.Service.Value.Namespace, facts.Service.Value.Name, change)),
			"the Service selects Pods with %q, and those of %s don't have that", labels.Set(selector).String(), of)
	case workload.Replicas == 0:
		replicas := map[string]int{"statefulset": 1, "deployment": 3}[workload.Kind]
		return bad(mend(fmt.Sprintf("kubectl scale -n %s %s --replicas=%d", options.Namespace, of, replicas)), none+": %s is scaled to 0", of)
	default:
		return bad(advise("kubectl describe -n %s %s says why it makes none", options.Namespace, of), none+", though %s is to have %d", of, workload.Replicas)
	}
}

func whyNotReady(pod corev1.Pod) string {
	for _, status := range pod.Status.ContainerStatuses {
		if waiting := status.State.Waiting; waiting != nil {
			return strings.TrimSuffix(waiting.Reason+", "+waiting.Message, ", ")
		}
	}
	for _, condition := range pod.Status.Conditions {
		if condition.Status == corev1.ConditionFalse && condition.Message != "" {
			return condition.Message
		}
	}
	return "phase " + string(pod.Status.Phase)
}
