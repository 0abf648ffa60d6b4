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

# without_staging_replaces prints a go.mod without its replace block for Kubernetes.
without_staging_replaces() {
  awk '
    /^\/\/ k8s.io\/kubernetes names its staging modules/ {comment = 1}
    comment && /^\/\// {next}
    {comment = 0}
    /^replace k8s.io\// {next}
    /^replace \($/ {block = 1; kept = ""; next}
    block && /^\)$/ {block = 0; if (kept != "") printf "replace (\n%s)\n", kept; next}
    block && $1 ~ /^k8s.io\// {next}
    block {kept = kept $0 "\n"; next}
    {print}
  ' "$1" | cat -s
}

staging_list=$(staging_modules)
for module in $(modules); do
  file=${module}/go.mod
  if ! grep -q 'k8s.io/kubernetes v' "${file}"; then
    continue
  fi
  {
    without_staging_replaces "${file}" | sed -e :a -e '/^\n*$/{$d;N;ba' -e '}'
    echo
    echo "// k8s.io/kubernetes names its staging modules by relative paths, which only its own repository has:"
    echo "// every one of them is pinned here to the release that belongs to it."
    echo "replace ("
    for staged in ${staging_list}; do
      printf '\t%s => %s %s\n' "${staged}" "${staged}" "${staging}"
    done
    echo ")"
  } >"${file}.new"
  mv "${file}.new" "${file}"
  go mod edit -fmt -require "k8s.io/kubernetes@v${release}" "${file}"
  if [[ -n ${1:-} ]]; then
    for staged in $(awk '$1 ~ /^k8s.io\// && $2 ~ /^v0\.[0-9]+\.[0-9]+$/ {print $1}' "${file}"); do
      if grep -qx "${staged}" <<<"${staging_list}"; then
        go mod edit -require "${staged}@${staging}" "${file}"
      fi
    done
  fi
done
