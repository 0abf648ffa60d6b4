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

package core

import (
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	coreinstall "k8s.io/kubernetes/pkg/apis/core/install"
	"k8s.io/kubernetes/pkg/apis/policy"
	policyv1 "k8s.io/kubernetes/pkg/apis/policy/v1"
	policyv1beta1 "k8s.io/kubernetes/pkg/apis/policy/v1beta1"
)

// Install teaches scheme the types of core: the internal ones, v1, and their defaults, conversions, field labels and
// declarative validation. It adds the group policy as well, of which pods/eviction takes the kind Eviction.
// It panics where scheme already holds a different type under one of these kinds, which is a mistake of the program.
func Install(scheme *runtime.Scheme) {
	coreinstall.Install(scheme)

	utilruntime.Must(policy.AddToScheme(scheme))
	utilruntime.Must(policyv1.AddToScheme(scheme))
	utilruntime.Must(policyv1beta1.AddToScheme(scheme))
	utilruntime.Must(scheme.SetVersionPriority(policyv1.SchemeGroupVersion, policyv1beta1.SchemeGroupVersion))
}
