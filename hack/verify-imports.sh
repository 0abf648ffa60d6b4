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

# Checks the import rules: .import-restrictions files, read by Kubernetes' import-boss (each names the packages of its folder and
# below; the nearest file that knows an import decides). The rules themselves are tested first, in tools/lint.

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

go -C tools/lint test -count=1 ./... || fail "the import rules let something pass: mend the .import-restrictions files"

# import-boss answers success for packages that it could not load: ask Go first.
go list -test ./... >/dev/null || fail "packages do not load"

binary=$(go tool -n -modfile="${LINT_MODFILE}" import-boss)
if ! output=$("${binary}" ./... 2>&1) || [[ -n ${output} ]]; then
  echo "${output}" | sort -u
  fail "imports against the rules: see docs/development/layout.md"
fi
