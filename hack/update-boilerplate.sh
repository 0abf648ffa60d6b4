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

# Puts the licence header on top of each Go file and script that has none.

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# with_header FILE HEADER prints the file with the header below what must stay on top (a "#!" line, build constraints).
with_header() {
  awk -v header="$2" '
    function put() {
      if (top) print ""
      while ((getline line < header) > 0) print line
      if (line != "") print ""
      done = 1
    }
    !done && (/^#!/ || /^\/\/go:build / || /^\/\/ \+build /) {print; top = 1; next}
    !done && /^$/ {next}
    !done {put()}
    {print}
  ' "$1"
}

hack/verify-boilerplate.sh 2>/dev/null | while read -r file; do
  case ${file} in
  *.go) header=hack/boilerplate.go.txt ;;
  *) header=hack/boilerplate.sh.txt ;;
  esac
  with_header "${file}" "${header}" >"${file}.new"
  cat "${file}.new" >"${file}" # keeps the file's mode
  rm "${file}.new"
  echo "${file}"
done
