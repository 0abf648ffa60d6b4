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

package aggregated

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// handOverLimit is for how long nobody may run the controllers, and no write may succeed, after a replica or a member of etcd was lost.
	handOverLimit = 15 * time.Second

	// lookPeriod is the time between two looks, and between the beginnings of two writes: what the lengths are exact to.
	lookPeriod = 100 * time.Millisecond
)

// observer writes all the time, whether the write before has ended or not, and looks all the time who leads.
type observer struct {
	mu     sync.Mutex
	writes []*write
	leads  []time.Time // when some replica said that it leads
}

// write is one write; ended is zero before it has.
type write struct {
	begun, ended time.Time
	err          error
}

// observe begins; the returned function ends it.
func (in *installation) observe(t *testing.T) (_ *observer, stop func()) {
	t.Helper()
	o := &observer{}
	jobs := in.jobs.Namespace(in.newNamespace(t).namespace)
	ctx, cancel := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	each := func(f func(n int)) {
		wait.Go(func() {
			ticker := time.NewTicker(lookPeriod)
			defer ticker.Stop()
			for n := 0; ctx.Err() == nil; n++ {
				f(n)
				select {
				case <-ctx.Done():
				case <-ticker.C:
				}
			}
		})
	}
	for _, r := range in.replicas {
		each(func(int) {
			if _, leads := r.leads(); leads {
				o.mu.Lock()
				defer o.mu.Unlock()
				o.leads = append(o.leads, time.Now())
			}
		})
	}
	each(func(n int) {
		job := suspended(t, fmt.Sprintf("probe-%d", n), "probe")
		wait.Go(func() {
			w := &write{begun: time.Now()}
			o.mu.Lock()
			o.writes = append(o.writes, w)
			o.mu.Unlock()
			_, err := jobs.Create(ctx, job, metav1.CreateOptions{})
			o.mu.Lock()
			defer o.mu.Unlock()
			w.ended, w.err = time.Now(), err
		})
	})
	stop = sync.OnceFunc(func() {
		cancel()
		wait.Wait()
	})
	t.Cleanup(stop)
	return o, stop
}

// interruption is what followed a loss.
type interruption struct {
	// withoutWrite and withoutLeader are the longest times in which no write succeeded, and in which no replica said that it leads.
	withoutWrite, withoutLeader time.Duration
	// failed is how many writes failed, and failing for how long after the loss some did. slowest is the longest that one took.
	failed           int
	failing, slowest time.Duration
	last             error
}

// since tells what was interrupted since a moment, until now.
func (o *observer) since(begin time.Time) interruption {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	i := interruption{withoutLeader: longestGap(begin, now, o.leads)}
	var succeeded []time.Time
	for _, w := range o.writes {
		if w.ended.IsZero() {
			i.slowest = max(i.slowest, now.Sub(w.begun))
			continue
		}
		if w.ended.Before(begin) {
			continue
		}
		i.slowest = max(i.slowest, w.ended.Sub(w.begun))
		if w.err == nil {
			succeeded = append(succeeded, w.ended)
			continue
		}
		i.failed++
		if failing := w.ended.Sub(begin); failing > i.failing {
			i.failing, i.last = failing, w.err
		}
	}
	slices.SortFunc(succeeded, time.Time.Compare)
	i.withoutWrite = longestGap(begin, now, succeeded)
	return i
}

// longestGap is the longest time between begin and end that has none of the moments, which are in order, in it.
func longestGap(begin, end time.Time, moments []time.Time) time.Duration {
	var longest time.Duration
	last := begin
	for _, moment := range append(moments, end) {
		if moment.After(begin) {
			longest = max(longest, moment.Sub(last))
			last = moment
		}
	}
	return longest
}

func (i interruption) String() string {
	text := fmt.Sprintf("for %s no write succeeded, for %s nobody led", i.withoutWrite.Round(time.Millisecond), i.withoutLeader.Round(time.Millisecond))
	if i.failed > 0 {
		text += fmt.Sprintf("; %d writes failed, the last of them %s after the loss: %v", i.failed, i.failing.Round(time.Millisecond), i.last)
	}
	return text + fmt.Sprintf("; the slowest took %s", i.slowest.Round(time.Millisecond))
}

// check fails where the interruption took too long.
func (i interruption) check(t *testing.T) {
	t.Helper()
	if max(i.withoutWrite, i.withoutLeader, i.failing, i.slowest) > handOverLimit {
		t.Errorf("want less than %s: %s", handOverLimit, i)
	}
}

// leads tells whether a replica leads; if not, what it says instead.
func (r *replica) leads() (said string, leads bool) {
	code, body, err := caller{}.get(r, "/readyz?verbose")
	return fmt.Sprintf("%d %v %s", code, err, body), err == nil && code == http.StatusOK && !strings.Contains(body, "standing by")
}

// leader is the member that leads the others.
func (e *etcdMembers) leader(t *testing.T) int {
	t.Helper()
	leader := -1
	eventually(t, waitLong, func() string {
		var said []string
		for i := range e.members {
			status, err := e.status(i)
			if err == nil && status.Leader != "" && status.Leader == status.Header.MemberID {
				leader = i
				return ""
			}
			said = append(said, fmt.Sprintf("%+v %v", status, err))
		}
		return "no member leads: " + strings.Join(said, "\n")
	})
	return leader
}

// memberStatus is what a member says of itself.
type memberStatus struct {
	Header struct {
		MemberID string `json:"member_id"`
	} `json:"header"`
	Leader string `json:"leader"`
}

func (e *etcdMembers) status(i int) (status memberStatus, err error) {
	client := http.Client{Timeout: 5 * time.Second}
	response, err := client.Post(e.clients[i]+"/v3/maintenance/status", "application/json", strings.NewReader("{}"))
	if err != nil {
		return status, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return status, fmt.Errorf("status: %s", response.Status)
	}
	return status, json.NewDecoder(response.Body).Decode(&status)
}
