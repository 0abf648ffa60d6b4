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

# Checks that every Go file and every script starts with the licence header. Prints the files that do not.

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# has_header FILE HEADER: the header is the first thing after a "#!" line, build constraints and empty lines.
has_header() {
  awk '
    FNR == 1 {file++}
    file == 1 {want[++n] = $0; next}
    !started && (/^#!/ || /^\/\/go:build / || /^\/\/ \+build / || /^$/) {next}
    {started = 1; if ($0 != want[++i]) exit 1; if (i == n) {matched = 1; exit 0}}
    END {if (i < n) exit 1}
  ' "$2" "$1"
}

status=0
while read -r file; do
  case ${file} in
  *.go) header=hack/boilerplate.go.txt ;;
  *) header=hack/boilerplate.sh.txt ;;
  esac
  if ! has_header "${file}" "${header}"; then
    echo "${file}"
    status=1
  fi
done < <(tracked_files '*.go' '*.sh' .ci/run)
[[ ${status} -eq 0 ]] || fail "no licence header: run hack/update-boilerplate.sh"
