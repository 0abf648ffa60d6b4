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
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/apimachinery/pkg/util/sets"
)

const (
	// A generated name is at most 63 characters long: the base, cut to 58, and 5 random ones (as the API server's).
	maxNameBase      = 58
	nameSuffixLength = 5

	// maxNameAttempts is how many names are tried where each is taken (as the API server does for generateName).
	maxNameAttempts = 8

	// nameDoubtPeriod is for how long after a creation without a clear answer the Pod may still come into being. An API
	// server ends a request after one minute.
	nameDoubtPeriod = 2 * time.Minute
)

// podNames makes creations of Pods repeatable. The controller names Pods itself, by the rule for generateName. Where a creation
// gets no clear answer (a time-out, a lost connection, a server that dies), the next Pod for the same place gets the same name, so
// that both can't exist: an index never runs twice because an answer was lost.
type podNames struct {
	// inDoubt are names by the generateName they were made from, which differs from index to index.
	inDoubt map[string][]doubtfulName
}

type doubtfulName struct {
	name string
	at   time.Time
}

// next returns the name to create a Pod with: one in doubt, or a new one.
func (n *podNames) next(generateName string, now time.Time) string {
	doubts := n.inDoubt[generateName]
	for len(doubts) > 0 {
		first := doubts[0]
		doubts = doubts[1:]
		n.set(generateName, doubts)
		if now.Sub(first.at) < nameDoubtPeriod {
			return first.name
		}
	}
	return newPodName(generateName)
}

// seen ends the doubt about the names of Pods that are known. Such a name must not be tried: it would prove to be taken, and a new name be chosen,
// while a Pod that is not known yet waits under the next name in doubt; or, where the Pod is gone by then, another would get its name.
func (n *podNames) seen(pods []*corev1.Pod) {
	if len(n.inDoubt) == 0 {
		return
	}
	known := sets.New[string]()
	for _, pod := range pods {
		known.Insert(pod.Name)
	}
	for generateName, doubts := range n.inDoubt {
		n.set(generateName, slices.DeleteFunc(doubts, func(doubt doubtfulName) bool { return known.Has(doubt.name) }))
	}
}

// doubt notes that the creation of a Pod of the name failed, or seemed to.
func (n *podNames) doubt(generateName, name string, now time.Time) {
	n.set(generateName, append(n.inDoubt[generateName], doubtfulName{name: name, at: now}))
}

func (n *podNames) set(generateName string, doubts []doubtfulName) {
	if len(doubts) == 0 {
		delete(n.inDoubt, generateName)
		return
	}
	if n.inDoubt == nil {
		n.inDoubt = map[string][]doubtfulName{}
	}
	n.inDoubt[generateName] = doubts
}

// newPodName returns a name made from generateName as the API server makes one.
func newPodName(generateName string) string {
	if len(generateName) > maxNameBase {
		generateName = generateName[:maxNameBase]
	}
	return generateName + rand.String(nameSuffixLength)
}
