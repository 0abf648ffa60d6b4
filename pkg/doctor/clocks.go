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
	"fmt"
	"strings"
	"time"
)

// maxSkew is how far apart clocks may be. Certificates and leases are made for a minute or two.
const maxSkew = 30 * time.Second

// judgeClocks compares the clocks of this machine, of the cluster's API server and of ours, each with each.
func judgeClocks(_ Options, facts Facts) Finding {
	type clock struct {
		of   string
		time time.Time
	}
	ours := facts.Discovery.Date
	if facts.Discovery.Code != 200 {
		// The cluster's API server answers in place of ours, and the date is its own.
		ours = facts.Readyz.Date
	}
	var known []clock
	for _, c := range []clock{{"this machine", facts.Now}, {"the cluster's API server", facts.ClusterDate}, {"our server", ours}} {
		if !c.time.IsZero() {
			known = append(known, c)
		}
	}
	if len(known) < 2 {
		return unknown("nobody told the time")
	}
	var skewed []string
	for i, one := range known {
		for _, other := range known[i+1:] {
			if skew := one.time.Sub(other.time).Round(time.Second); skew.Abs() > maxSkew {
				skewed = append(skewed, fmt.Sprintf("the clock of %s is %s %s that of %s", other.of, skew.Abs(), direction(skew), one.of))
			}
		}
	}
	if len(skewed) > 0 {
		return bad(advise("on the machine whose clock is wrong: chronyc makestep, or timedatectl set-ntp true"), "%s", strings.Join(skewed, "; "))
	}
	return good("%d clocks within %s", len(known), maxSkew)
}

// direction says where a clock is whose time was subtracted.
func direction(skew time.Duration) string {
	if skew > 0 {
		return "behind"
	}
	return "ahead of"
}
