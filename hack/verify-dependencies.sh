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

# Checks that docs/dependencies.md explains each direct dependency of the main module, and none that is gone.

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

wanted=$(go list -m -f '{{if not (or .Main .Indirect)}}{{.Path}}{{end}}' all | sort)
explained=$(sed -n 's/^| `\([^`]*\)` |.*/\1/p' docs/dependencies.md | sort)
if ! difference=$(diff <(echo "${wanted}") <(echo "${explained}")); then
  echo "${difference}" | sed -n -e 's/^< /not explained: /p' -e 's/^> /not a direct dependency: /p'
  fail "docs/dependencies.md does not fit go.mod: mend its table"
fi
