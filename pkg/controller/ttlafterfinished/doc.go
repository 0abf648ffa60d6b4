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

// Package ttlafterfinished deletes finished Jobs once their spec.ttlSecondsAfterFinished has passed (KEP-592).
//
// A Job ends when its Complete or Failed condition became true; that time plus the TTL is when it may go. The state is all
// in the Jobs: after a restart the first list of the informer finds every Job that is due, and those that are not yet.
// The wall clock decides, so nothing is deleted before its time when the clock is set back, and a clock set forward, or a
// machine that slept, is noticed and every Job looked at again.
package ttlafterfinished
