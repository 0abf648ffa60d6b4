#!/usr/bin/env bash

# Copyright 2026 The Jobserver Authors.
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

# Runs each fuzz target for FUZZTIME (default: 1m), one after the other. FUZZ is a regular expression of those to run (default: all). An input that
# fails is written below testdata/fuzz of the target's package: mend the cause and commit the input, which is a test from then on.

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

status=0
while IFS=: read -r file target; do
  if [[ ! ${target} =~ ${FUZZ:-.} ]]; then
    continue
  fi
  echo "=== ${target}"
  go test "./$(dirname "${file}")" -vet=off -run '^$' -fuzz "^${target}\$" -fuzztime "${FUZZTIME:-1m}" -fuzzminimizetime 1s || status=1
done < <(tracked_files '*_test.go' | xargs grep -oE '^func Fuzz\w+' | sed 's/func //')
[[ ${status} -eq 0 ]] || fail "fuzzing found something"
