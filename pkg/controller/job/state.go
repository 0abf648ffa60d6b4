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
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/jobserver-dev/jobserver/pkg/controller/job/plan"
)

// jobState is what the controller remembers about one Job between two syncs. It is kept by the Job's UID: a Job that is
// created anew under the name of a deleted one starts with nothing of that one's.
//
// All fields but pace belong to the sync of the Job, of which there is never more than one at a time.
type jobState struct {
	// pace is when the Job may be synced; event handlers use it too.
	pace pace

	// written are our latest writes of the Job's status and of owner references of Pods.
	written ownWrites

	// expected are the creations and deletions of Pods that the cache has to show.
	expected expectations

	// released are the finalizer removals that the cache has to show.
	released finalizerRemovals

	// names are the names of Pods whose creation got no clear answer.
	names podNames

	// backoff is the record of the last sync. It is lost with the process, as upstream's is: back-off then starts anew.
	backoff plan.BackoffRecord
}

// jobStates holds the state of every unfinished Job that was synced. It is safe for concurrent use.
type jobStates struct {
	mu    sync.Mutex
	byUID map[types.UID]*jobState
}

// of returns the state of the Job, a new one where there is none.
func (s *jobStates) of(uid types.UID) *jobState {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byUID == nil {
		s.byUID = map[types.UID]*jobState{}
	}
	state, ok := s.byUID[uid]
	if !ok {
		state = &jobState{}
		s.byUID[uid] = state
	}
	return state
}

// peek returns the state of the Job, nil where there is none. Handlers of Pod events use it: they may run after the Job was
// forgotten, and would bring the state of a Job back that is never looked at again.
func (s *jobStates) peek(uid types.UID) *jobState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byUID[uid]
}

// forget drops the state of a Job that is finished or gone.
func (s *jobStates) forget(uid types.UID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byUID, uid)
}

// len returns the number of Jobs with a state.
func (s *jobStates) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.byUID)
}
