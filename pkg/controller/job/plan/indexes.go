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
	"math/bits"
	"slices"
	"strconv"
	"strings"
)

// indexSet is a set of completion indexes as ascending intervals that neither overlap nor touch. The zero value is empty.
// It stays small while indexes end roughly in order, which is what makes Jobs of 100,000 indexes fit into a status.
type indexSet []interval

// interval is the indexes first to last, both included.
type interval struct {
	first, last int
}

// indexBits gathers indexes that come in any order, one bit each: 100,000 take 12.5 KB and no sorting.
type indexBits []uint64

// newIndexBits makes room for the indexes below limit.
func newIndexBits(limit int) indexBits {
	return make(indexBits, (limit+63)/64)
}

// add adds an index, which may be there already.
func (b indexBits) add(index int) {
	b[index/64] |= 1 << (index % 64)
}

// set returns what was added.
func (b indexBits) set() indexSet {
	var set indexSet
	for i, word := range b {
		for first := i * 64; word != 0; {
			gap := bits.TrailingZeros64(word)
			length := bits.TrailingZeros64(^(word >> gap))
			set = set.appended(interval{first + gap, first + gap + length - 1})
			first, word = first+gap+length, word>>gap>>length
		}
	}
	return set
}

// parseIndexes reads the form that String writes, without the indexes of limit and above: an elastic Job that was scaled
// down has them in its status. Parts that are no interval are left out, as upstream does: validation keeps them from
// being stored, so that a reader can only make the best of them.
func parseIndexes(text string, limit int) indexSet {
	var set indexSet
	for part := range strings.SplitSeq(text, ",") {
		iv, ok := parseInterval(part)
		if !ok || iv.first >= limit {
			continue
		}
		iv.last = min(iv.last, limit-1)
		if len(set) > 0 && iv.first < set[len(set)-1].first {
			set = set.union(indexSet{iv})
		} else {
			set = set.appended(iv)
		}
	}
	return set
}

func parseInterval(text string) (interval, bool) {
	from, to, isRange := strings.Cut(text, "-")
	first, err := strconv.Atoi(from)
	if err != nil || first < 0 {
		return interval{}, false
	}
	if !isRange {
		return interval{first, first}, true
	}
	last, err := strconv.Atoi(to)
	if err != nil || last < first {
		return interval{}, false
	}
	return interval{first, last}, true
}

// String writes the set as the status shows it: "1,3-5,7". Two neighbours are written as "3,4", as upstream does.
func (s indexSet) String() string {
	var text []byte
	for i, iv := range s {
		if i > 0 {
			text = append(text, ',')
		}
		text = strconv.AppendInt(text, int64(iv.first), 10)
		switch {
		case iv.last == iv.first:
			continue
		case iv.last == iv.first+1:
			text = append(text, ',')
		default:
			text = append(text, '-')
		}
		text = strconv.AppendInt(text, int64(iv.last), 10)
	}
	return string(text)
}

// has says whether the index is in the set, in logarithmic time.
func (s indexSet) has(index int) bool {
	at, found := slices.BinarySearchFunc(s, index, func(iv interval, index int) int { return iv.first - index })
	return found || at > 0 && index <= s[at-1].last
}

// size is the number of indexes in the set.
func (s indexSet) size() int {
	size := 0
	for _, iv := range s {
		size += iv.last - iv.first + 1
	}
	return size
}

// union returns the indexes of both sets; neither is changed.
func (s indexSet) union(other indexSet) indexSet {
	if len(other) == 0 {
		return s
	}
	if len(s) == 0 {
		return other
	}
	result := make(indexSet, 0, len(s)+len(other))
	for len(s) > 0 && len(other) > 0 {
		if s[0].first <= other[0].first {
			result, s = result.appended(s[0]), s[1:]
		} else {
			result, other = result.appended(other[0]), other[1:]
		}
	}
	for _, iv := range s {
		result = result.appended(iv)
	}
	for _, iv := range other {
		result = result.appended(iv)
	}
	return result
}

// overlap is the number of indexes that are in both sets.
func (s indexSet) overlap(other indexSet) int {
	count := 0
	for len(s) > 0 && len(other) > 0 {
		count += max(0, min(s[0].last, other[0].last)-max(s[0].first, other[0].first)+1)
		if s[0].last <= other[0].last {
			s = s[1:]
		} else {
			other = other[1:]
		}
	}
	return count
}

// firstMissing returns the lowest count indexes below limit that are not in the set, or fewer if there are no more.
func (s indexSet) firstMissing(count, limit int) []int {
	missing := make([]int, 0, max(0, min(count, limit)))
	next := 0
	for _, iv := range s {
		for ; next < min(iv.first, limit) && len(missing) < count; next++ {
			missing = append(missing, next)
		}
		next = max(next, iv.last+1)
	}
	for ; next < limit && len(missing) < count; next++ {
		missing = append(missing, next)
	}
	return missing
}

// appended adds an interval that does not start before the last one. It may change the set's backing array.
func (s indexSet) appended(iv interval) indexSet {
	if len(s) == 0 || iv.first > s[len(s)-1].last+1 {
		return append(s, iv)
	}
	s[len(s)-1].last = max(s[len(s)-1].last, iv.last)
	return s
}
