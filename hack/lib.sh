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

# What the scripts of this folder share. Source it first: it stops on errors and changes to the repository's root.

set -o errexit -o nounset -o pipefail

REPO_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
cd "${REPO_ROOT}"

# As in the Makefile, so that a script run by hand finds the same things in Go's build cache.
export CGO_ENABLED="${CGO_ENABLED:-0}"
export GOFLAGS="${GOFLAGS:--trimpath -buildvcs=false}"

LINT_MODFILE=tools/lint/go.mod

# modules prints the folder of every Go module of the repository, "." for the main one.
modules() {
  tracked_files '*go.mod' | while read -r file; do dirname "${file}"; done
}

# code_modules prints the folder of every module that has Go code of its own (the tools modules mostly have none).
code_modules() {
  local module
  for module in $(modules); do
    if [[ -n $(go -C "${module}" list ./... 2>/dev/null) ]]; then
      echo "${module}"
    fi
  done
}

# kubernetes_release MODULE prints the release of Kubernetes that a tools module pins: v1.37.2.
kubernetes_release() {
  awk '$1 == "k8s.io/kubernetes" && $2 ~ /^v/ {print $2; exit}' "$1/go.mod"
}

# kubernetes_ldflags RELEASE prints the linker flags that give Kubernetes' programs their version, as upstream's own build does.
kubernetes_ldflags() {
  local major minor package flags="-s -w"
  IFS=. read -r major minor _ <<<"${1#v}"
  for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    flags+=" -X ${package}.gitVersion=$1 -X ${package}.gitMajor=${major} -X ${package}.gitMinor=${minor}"
  done
  echo "${flags}"
}

# tracked_files PATTERN... prints the files that git knows or would add, so that build output is never looked at.
tracked_files() {
  git ls-files --cached --others --exclude-standard -- "$@" | sort -u | while read -r file; do
    if [[ -e ${file} ]]; then
      echo "${file}"
    fi
  done
}

# handwritten_go prints the Go files that are not generated (those are the generators' to format).
handwritten_go() {
  tracked_files '*.go' ':!:pkg/generated' ':!:*zz_generated*' ':!:*.pb.go'
}

# in_copy COMMAND... runs a command that rewrites files in a copy of the tree and shows what it would change; false if anything.
# Verify scripts use it to reuse their update script without touching the tree.
in_copy() {
  local copy status=0
  copy=$(mktemp -d)
  tracked_files | tar --create --files-from - | tar --extract --directory "${copy}"
  git -C "${copy}" init --quiet
  git -C "${copy}" add --all
  (cd "${copy}" && "$@") >"${copy}.log" 2>&1 || { cat "${copy}.log"; status=1; }
  git -C "${copy}" diff --stat --exit-code || status=1
  rm -rf "${copy}" "${copy}.log"
  return "${status}"
}

# fail MESSAGE ends a script with one line on stderr.
fail() {
  echo "error: $*" >&2
  exit 1
}
