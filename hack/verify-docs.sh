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

# Checks what the documentation names: that each test, benchmark and example exists, each relative link leads to a file, and each rule of
# Kubernetes' Job controller has a row in the table of differences.

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# RULES is how many rules the reference numbers: B1, B2, ...
RULES=85
COMPATIBILITY=docs/concepts/compatibility.md

status=0
complain() {
  echo "$*" >&2
  status=1
}

mapfile -t docs < <(tracked_files 'docs/*.md' 'docs/**/*.md' '*.md' | sort -u)
mapfile -t tests < <(tracked_files '*_test.go')

declared=$(grep -hoE '^func (Test|Benchmark|Example|Fuzz)[A-Za-z0-9_]*' "${tests[@]}" | sort -u | sed 's/^func //')
for file in "${docs[@]}"; do
  # Names stand in backticks; one of a subtest goes on with a slash.
  for name in $(grep -oE '`(Test|Benchmark|Example|Fuzz)[A-Z][A-Za-z0-9_]*[`/]' "${file}" | tr -d '`/' | sort -u); do
    grep -qx "${name}" <<<"${declared}" || complain "${file}: there is no ${name}"
  done
  for link in $(grep -oE '\]\([^)#[:space:]]+' "${file}" | sed 's/^](//' | grep -vE '^[a-z]+:' | sort -u); do
    [[ -e $(dirname "${file}")/${link} ]] || complain "${file}: there is no ${link}"
  done
done

# The first column of a row lists its rules: "B4, B5, B6".
answered=$(grep -oE '^\| *B[0-9]+(, B[0-9]+)* *\|' "${COMPATIBILITY}" | grep -oE 'B[0-9]+' | sort -u)
for ((i = 1; i <= RULES; i++)); do
  grep -qx "B${i}" <<<"${answered}" || complain "${COMPATIBILITY}: no row for B${i}"
done

[[ ${status} -eq 0 ]] || fail "the documentation names what is not there"
