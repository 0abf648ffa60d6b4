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

package plan

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestParseIndexes(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		text  string
		limit int
		want  string
	}{
		"empty":                         {"", 10, ""},
		"one":                           {"3", 10, "3"},
		"neighbours stay a list":        {"3,4", 10, "3,4"},
		"three become a range":          {"3,4,5", 10, "3-5"},
		"ranges":                        {"0-2,4,6-9", 10, "0-2,4,6-9"},
		"above the limit":               {"0,5,9", 5, "0"},
		"range across the limit":        {"0,3-9", 5, "0,3,4"},
		"limit 0":                       {"0-3", 0, ""},
		"not a number is left out":      {"1,x,3", 10, "1,3"},
		"bad range is left out":         {"1,5-3,7-", 10, "1"},
		"negative is left out":          {"-1,2", 10, "2"},
		"out of order is put in order":  {"5,1-2,0", 10, "0-2,5"},
		"overlapping ranges are joined": {"1-5,3-7", 10, "1-7"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := parseIndexes(tc.text, tc.limit).String(); got != tc.want {
				t.Errorf("parseIndexes(%q, %d) = %q, want %q", tc.text, tc.limit, got, tc.want)
			}
		})
	}
}

// indexesOf returns the set of the given indexes, which may repeat and come in any order.
func indexesOf(indexes ...int) indexSet {
	found := newIndexBits(len(indexes))
	if len(indexes) > 0 {
		found = newIndexBits(slices.Max(indexes) + 1)
	}
	for _, index := range indexes {
		found.add(index)
	}
	return found.set()
}

// TestIndexBits: runs of indexes become intervals wherever the words of the bits begin and end.
func TestIndexBits(t *testing.T) {
	t.Parallel()
	for _, want := range []string{"", "0", "63", "64", "0-63", "1-62", "62-65", "63,64", "64-127", "0-199", "0,2,4-127,129-191,199", "100000"} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			set := parseIndexes(want, 200000)
			found := newIndexBits(100001)
			for _, iv := range slices.Backward(set) {
				for index := iv.last; index >= iv.first; index-- {
					found.add(index)
				}
			}
			if got := found.set().String(); got != want {
				t.Errorf("got %q", got)
			}
		})
	}
}

// TestIndexSetIsASet compares the interval set with a plain one.
func TestIndexSetIsASet(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		const limit = 40
		indexes := rapid.SliceOfN(rapid.IntRange(0, limit-1), 0, 30)
		a, b := indexes.Draw(t, "a"), indexes.Draw(t, "b")
		setA, setB := indexesOf(a...), indexesOf(b...)
		before := setA.String()
		union := setA.union(setB)
		var all, both, missing []int
		for i := range limit {
			inA, inB := slices.Contains(a, i), slices.Contains(b, i)
			if setA.has(i) != inA || union.has(i) != (inA || inB) {
				t.Fatalf("membership of %d is wrong", i)
			}
			if inA || inB {
				all = append(all, i)
			} else {
				missing = append(missing, i)
			}
			if inA && inB {
				both = append(both, i)
			}
		}
		if union.size() != len(all) || setA.overlap(setB) != len(both) {
			t.Fatalf("size %d and overlap %d, want %d and %d", union.size(), setA.overlap(setB), len(all), len(both))
		}
		count := rapid.IntRange(0, limit+2).Draw(t, "count")
		missing = missing[:min(count, len(missing))]
		if got := union.firstMissing(count, limit); !slices.Equal(got, missing) {
			t.Fatalf("firstMissing(%d) = %v, want %v", count, got, missing)
		}
		if diff := cmp.Diff(union, parseIndexes(union.String(), limit), cmp.AllowUnexported(interval{})); diff != "" {
			t.Fatalf("reading what was written (-want +got):\n%s", diff)
		}
		if setA.String() != before {
			t.Fatalf("union changed its receiver")
		}
	})
}
