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

# Runs every hack/verify-*.sh, all of them even where one fails, and says at the end what failed.
# With names ("verify-all.sh gofmt imports") it runs those only.

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

names=("$@")
if [[ ${#names[@]} -eq 0 ]]; then
  for script in hack/verify-*.sh; do
    name=$(basename "${script}" .sh)
    if [[ ${name} != verify-all ]]; then
      names+=("${name#verify-}")
    fi
  done
fi

failed=()
for name in "${names[@]}"; do
  script=hack/verify-${name}.sh
  [[ -x ${script} ]] || fail "no such check: ${script}"
  echo "+++ ${name}"
  if ! "${script}"; then
    failed+=("${name}")
  fi
done

if [[ ${#failed[@]} -gt 0 ]]; then
  echo
  echo "FAILED: ${failed[*]}"
  echo 'Run "make update" to mend what a machine can mend; the rest is named above.'
  exit 1
fi
echo "all ${#names[@]} checks passed"
