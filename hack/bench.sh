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

# Runs the benchmarks that match BENCH (default: all) COUNT times (default: 6) and compares them with the run before, which it
# keeps in _output/bench. Machines differ: compare runs of one machine only.

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

folder=_output/bench
mkdir -p "${folder}"
if [[ -s ${folder}/new.txt ]]; then
  mv "${folder}/new.txt" "${folder}/old.txt"
fi
go test -run '^$' -bench "${BENCH:-.}" -benchmem -count "${COUNT:-6}" -timeout 60m ./... | tee "${folder}/new.txt.part"
mv "${folder}/new.txt.part" "${folder}/new.txt"

if [[ -s ${folder}/old.txt ]]; then
  go tool -modfile="${LINT_MODFILE}" benchstat "${folder}/old.txt" "${folder}/new.txt"
else
  go tool -modfile="${LINT_MODFILE}" benchstat "${folder}/new.txt"
fi
