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

# Makes every module use one Kubernetes release: the one of the main go.mod, or the one given ("update-kubernetes.sh 1.37.3").
# k8s.io/kubernetes names its staging modules by relative paths, so each of our modules replaces all of them. No release may be
# mixed with another.

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

release=${1:-$(awk '$1 == "k8s.io/kubernetes" && $2 ~ /^v/ {print substr($2, 2); exit}' go.mod)}
[[ ${release} =~ ^1\.[0-9]+\.[0-9]+$ ]] || fail "not a Kubernetes release: \"${release}\""
staging="v0.${release#1.}"

# staging_modules prints the modules that the release's own go.mod replaces by folders of its repository.
staging_modules() {
  local file
  file=$(go mod download -json "k8s.io/kubernetes@v${release}" | awk -F'"' '$2 == "GoMod" {print $4}')
  awk '$2 == "=>" && $3 ~ /^\.\/staging\// {print $1}' "${file}"
}

# with_staging_replaces FILE BLOCK prints a go.mod with the block of replace lines in place of the one it has, else at the end.
with_staging_replaces() {
  awk -v block="$2" '
    function put() {if (!written) {while ((getline line < block) > 0) print line; written = 1}}
    /^\/\/ k8s.io\/kubernetes names its staging modules/ {comment = 1}
    comment && /^\/\// {next}
    {comment = 0}
    /^replace k8s.io\// {next}
    /^replace \($/ {inside = 1; kept = ""; next}
    inside && /^\)$/ {inside = 0; put(); if (kept != "") printf "\nreplace (\n%s)\n", kept; next}
    inside && $1 ~ /^k8s.io\// {next}
    inside {kept = kept $0 "\n"; next}
    {print}
    END {if (!written) {print ""; put()}}
  ' "$1"
}

staging_list=$(staging_modules)
block=$(mktemp)
trap 'rm -f "${block}"' EXIT
{
  echo "// k8s.io/kubernetes names its staging modules by relative paths, which only its own repository has:"
  echo "// every one of them is pinned here to the release that belongs to it."
  echo "replace ("
  for staged in ${staging_list}; do
    printf '\t%s => %s %s\n' "${staged}" "${staged}" "${staging}"
  done
  echo ")"
} >"${block}"

for module in $(modules); do
  file=${module}/go.mod
  if ! grep -q 'k8s.io/kubernetes v' "${file}"; then
    continue
  fi
  required=(-require "k8s.io/kubernetes@v${release}")
  # v0.0.0 is what k8s.io/kubernetes itself requires of them: the replace line decides.
  for staged in $(awk '$1 ~ /^k8s.io\// && $2 ~ /^v0\.[1-9][0-9]*\.[0-9]+$/ {print $1}' "${file}"); do
    if grep -qx "${staged}" <<<"${staging_list}"; then
      required+=(-require "${staged}@${staging}")
    fi
  done
  with_staging_replaces "${file}" "${block}" >"${file}.new"
  go mod edit -fmt "${required[@]}" "${file}.new"
  if ! cmp -s "${file}.new" "${file}"; then
    cat "${file}.new" >"${file}"
    echo "${file}"
  fi
  rm "${file}.new"
done
