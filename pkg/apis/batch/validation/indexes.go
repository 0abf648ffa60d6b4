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
	"strconv"
	"strings"
)

// An index list names indexes of an Indexed Job: numbers and ranges in ascending order, separated by commas, as in "1,3-5,7". The empty list
// is the empty string. It is the form of succeededIndexes, completedIndexes and failedIndexes.

// indexInterval is one part of an index list, both ends included; first equals last for a single number.
type indexInterval struct {
	first, last int
}

// countIndexes returns how many indexes a list names. The error is about the first part that is malformed, out of order, or not below
// completions.
func countIndexes(list string, completions int32) (int32, error) {
	if list == "" {
		return 0, nil
	}
	count, previous := 0, -1
	for part := range strings.SplitSeq(list, ",") {
		interval, err := parseIndexInterval(part, completions)
		if err != nil {
			return 0, err
		}
		if interval.first <= previous {
			return 0, fmt.Errorf("non-increasing order, previous: %d, current: %d", previous, interval.first)
		}
		count += interval.last - interval.first + 1
		previous = interval.last
	}
	return int32(count), nil
}

// parseIndexInterval reads "n" or "first-last", where first is less than last and all are below completions.
func parseIndexInterval(part string, completions int32) (indexInterval, error) {
	ends := strings.Split(part, "-")
	if len(ends) > 2 {
		return indexInterval{}, fmt.Errorf(
			"the fragment %q violates the requirement that an index interval can have at most two parts separated by '-'", part)
	}
	first, err := parseIndex(ends[0], completions)
	if err != nil {
		return indexInterval{}, err
	}
	if len(ends) == 1 {
		return indexInterval{first, first}, nil
	}
	last, err := parseIndex(ends[1], completions)
	if err != nil {
		return indexInterval{}, err
	}
	if first >= last {
		return indexInterval{}, fmt.Errorf("non-increasing order, previous: %d, current: %d", first, last)
	}
	return indexInterval{first, last}, nil
}

// parseIndex reads a number below completions. A negative one can't occur: its sign would have split the part.
func parseIndex(digits string, completions int32) (int, error) {
	index, err := strconv.Atoi(digits)
	if err != nil {
		return 0, fmt.Errorf("cannot convert string to integer for index: %q", digits)
	}
	if index >= int(completions) {
		return 0, fmt.Errorf("too large index: %q", digits)
	}
	return index, nil
}

// firstOverlap returns the lowest index that both lists name. It passes over malformed parts: countIndexes reports those.
func firstOverlap(listA, listB string, completions int32) (index int, found bool) {
	a, b := wellFormedIntervals(listA, completions), wellFormedIntervals(listB, completions)
	for len(a) > 0 && len(b) > 0 {
		if a[0].first <= b[0].last && b[0].first <= a[0].last {
			return max(a[0].first, b[0].first), true
		}
		if a[0].first <= b[0].first {
			a = a[1:]
		} else {
			b = b[1:]
		}
	}
	return 0, false
}

func wellFormedIntervals(list string, completions int32) []indexInterval {
	var intervals []indexInterval
	for part := range strings.SplitSeq(list, ",") {
		if interval, err := parseIndexInterval(part, completions); err == nil {
			intervals = append(intervals, interval)
		}
	}
	return intervals
}
