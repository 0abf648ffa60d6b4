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

package validation

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestCountIndexes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		list    string
		want    int32
		problem string
	}{
		{list: "", want: 0},
		{list: "0", want: 1},
		{list: "9", want: 1},
		{list: "0-9", want: 10},
		{list: "0,2,4", want: 3},
		{list: "1,3-5,7", want: 5},
		{list: "3,4", want: 2},
		{list: "01", want: 1},
		{list: "+1", want: 1},
		{list: "10", problem: `too large index: "10"`},
		{list: "8-10", problem: `too large index: "10"`},
		{list: "10-12", problem: `too large index: "10"`},
		{list: "99999999999999999999", problem: `cannot convert string to integer for index: "99999999999999999999"`},
		{list: "x", problem: `cannot convert string to integer for index: "x"`},
		{list: "1-x", problem: `cannot convert string to integer for index: "x"`},
		{list: "-1", problem: `cannot convert string to integer for index: ""`},
		{list: "1-", problem: `cannot convert string to integer for index: ""`},
		{list: "1,", problem: `cannot convert string to integer for index: ""`},
		{list: ",", problem: `cannot convert string to integer for index: ""`},
		{list: " 1", problem: `cannot convert string to integer for index: " 1"`},
		{list: "1-2-3", problem: `the fragment "1-2-3" violates the requirement that an index interval can have at most two parts separated by '-'`},
		{list: "3-3", problem: "non-increasing order, previous: 3, current: 3"},
		{list: "4-3", problem: "non-increasing order, previous: 4, current: 3"},
		{list: "2,2", problem: "non-increasing order, previous: 2, current: 2"},
		{list: "2,1", problem: "non-increasing order, previous: 2, current: 1"},
		{list: "1-3,3-5", problem: "non-increasing order, previous: 3, current: 3"},
	} {
		t.Run(c.list, func(t *testing.T) {
			t.Parallel()
			got, err := countIndexes(c.list, 10)
			problem := ""
			if err != nil {
				problem = err.Error()
			}
			if got != c.want || problem != c.problem {
				t.Errorf("got %d and %q, want %d and %q", got, problem, c.want, c.problem)
			}
		})
	}
}

func TestFirstOverlap(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b  string
		want  int
		found bool
	}{
		{a: "", b: ""},
		{a: "0-9", b: ""},
		{a: "1,3", b: "0,2,4"},
		{a: "0-2", b: "3-5"},
		{a: "3-5", b: "0-2"},
		{a: "1", b: "1", want: 1, found: true},
		{a: "0-4", b: "3", want: 3, found: true},
		{a: "0,2-6", b: "1,5-9", want: 5, found: true},
		{a: "5-9", b: "0-9", want: 5, found: true},
		{a: "x,5", b: "1-2-3,5", want: 5, found: true},
		{a: "x", b: "5"},
		{a: "20", b: "20"},
	} {
		t.Run(c.a+" and "+c.b, func(t *testing.T) {
			t.Parallel()
			got, found := firstOverlap(c.a, c.b, 10)
			if got != c.want || found != c.found {
				t.Errorf("got %d, %t, want %d, %t", got, found, c.want, c.found)
			}
		})
	}
}

// TestIndexListsOfSets writes random sets of indexes as lists and compares with what the sets say.
func TestIndexListsOfSets(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		const completions = 60
		sets := rapid.MapOf(rapid.IntRange(0, completions-1), rapid.Just(true))
		a, b := sets.Draw(t, "a"), sets.Draw(t, "b")
		for _, set := range []map[int]bool{a, b} {
			if got, err := countIndexes(listOf(set), completions); err != nil || int(got) != len(set) {
				t.Fatalf("%q: got %d, %v, want %d", listOf(set), got, err, len(set))
			}
		}
		want, wantFound := 0, false
		for _, index := range slices.Sorted(maps.Keys(a)) {
			if b[index] {
				want, wantFound = index, true
				break
			}
		}
		if got, found := firstOverlap(listOf(a), listOf(b), completions); got != want || found != wantFound {
			t.Fatalf("%q and %q: got %d, %t, want %d, %t", listOf(a), listOf(b), got, found, want, wantFound)
		}
	})
}

// listOf writes a set the way the controller does: runs of indexes as ranges.
func listOf(set map[int]bool) string {
	var parts []string
	for _, first := range slices.Sorted(maps.Keys(set)) {
		if set[first-1] {
			continue
		}
		last := first
		for set[last+1] {
			last++
		}
		part := strconv.Itoa(first)
		if last > first {
			part = fmt.Sprintf("%d-%d", first, last)
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ",")
}

// FuzzCountIndexes looks for a list that panics, or that is accepted with a number of indexes that can't be.
func FuzzCountIndexes(f *testing.F) {
	f.Add("1,3-5,7", int32(10))
	f.Add("-", int32(-1))
	f.Fuzz(func(t *testing.T, list string, completions int32) {
		count, err := countIndexes(list, completions)
		if err == nil && (count < 0 || count > max(completions, 0)) {
			t.Errorf("%q of %d completions names %d indexes", list, completions, count)
		}
		firstOverlap(list, list, completions)
	})
}
