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

// Package freshlist keeps informers from beginning with an old state of the API.
//
// An informer asks for its first state in a way that is consistent with what is stored, as a stream of events. Where that fails for any
// reason, a connection that breaks say, it lists with the resource version 0, which an API server may answer from a cache that is as old as
// it likes. For most readers that is good enough, for they learn of the rest soon. It is not for one who takes over from another process, or from
// itself before a restart: what was written then, and can't be seen, would be done once more.
package freshlist

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Require makes a list that would do with any state ask for one that includes all that was written before. Lists and watches that name a
// state already stay as they are. It is meant for informers.WithTweakListOptions.
func Require(options *metav1.ListOptions) {
	if options.ResourceVersion == "0" {
		options.ResourceVersion = ""
	}
}
