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

# Prints the version of this tree ("version.sh"), the linker flags that put it into a binary ("version.sh ldflags"), or the tag of an
# image with it ("version.sh tag").
#
# The version has the Kubernetes release whose API we serve in front and our own as build metadata, as in
# v1.37.2+jobserver.0.1.0-dev.g47cca41. Clients compare the server's version with their own (kubectl's skew warning, Helm's
# kubeVersion), and k8s.io/apiserver derives from it which feature gates exist: with our own number there, it would take itself
# for Kubernetes 0.1 and switch nearly everything off.

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

NEXT_RELEASE=0.1.0

# own_version prints our version: the tag if the commit has one, else the next release, marked as in development.
own_version() {
  local commit tag
  if ! commit=$(git rev-parse --short=8 HEAD 2>/dev/null); then
    echo "${NEXT_RELEASE}-dev" # an unpacked archive
    return
  fi
  if tag=$(git describe --tags --exact-match --match 'v*' 2>/dev/null); then
    echo "${tag#v}"
  else
    echo "${NEXT_RELEASE}-dev.g${commit}"
  fi
}

tree_state() {
  if [[ -z $(git status --porcelain 2>/dev/null) ]]; then echo clean; else echo dirty; fi
}

# build_date is the commit's date, so that the same source gives the same binary.
build_date() {
  local seconds
  seconds=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
  date --utc --date="@${seconds}" +%Y-%m-%dT%H:%M:%SZ 2>/dev/null || date -u -r "${seconds}" +%Y-%m-%dT%H:%M:%SZ
}

kubernetes=$(awk '$1 == "k8s.io/kubernetes" && $2 ~ /^v/ {print $2; exit}' go.mod)
version="${kubernetes}+jobserver.$(own_version)"

case "${1:-version}" in
version)
  echo "${version}"
  ;;
tag) # of an image: a tag can't have the plus sign
  echo "v$(own_version)"
  ;;
ldflags)
  IFS=. read -r major minor _ <<<"${kubernetes#v}"
  flags=()
  for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    flags+=(
      "-X ${package}.gitVersion=${version}"
      "-X ${package}.gitMajor=${major}"
      "-X ${package}.gitMinor=${minor}"
      "-X ${package}.gitCommit=$(git rev-parse HEAD 2>/dev/null || true)"
      "-X ${package}.gitTreeState=$(tree_state)"
      "-X ${package}.buildDate=$(build_date)"
    )
  done
  echo "-s -w ${flags[*]}"
  ;;
*)
  fail "usage: hack/version.sh [version|ldflags]"
  ;;
esac
