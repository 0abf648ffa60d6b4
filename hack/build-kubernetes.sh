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

# Builds the servers of a real Kubernetes control plane, as pinned by tools/kubernetes, into a folder: build-kubernetes.sh FOLDER.
# What is there already, of the same pins, is not built again.

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

[[ $# -eq 1 ]] || fail "usage: hack/build-kubernetes.sh FOLDER"
case $1 in
/*) folder=$1 ;;
*) folder=${REPO_ROOT}/$1 ;;
esac

# The stamp names what the programs were built from, so that an interrupted build, or one of another release, is done again.
stamp=${folder}/.built-from
pins=$(cat tools/kubernetes/go.mod tools/kubernetes/go.sum hack/build-kubernetes.sh | sha256sum)
if [[ -e ${stamp} && $(<"${stamp}") == "${pins}" ]]; then
  exit 0
fi

release=$(kubernetes_release tools/kubernetes)
mkdir -p "${folder}"
rm -f "${stamp}"
echo "building kube-apiserver and kube-controller-manager ${release}, and etcd: this takes minutes the first time"
for program in kube-apiserver kube-controller-manager; do
  go -C tools/kubernetes build -ldflags "$(kubernetes_ldflags "${release}")" -o "${folder}/${program}" "k8s.io/kubernetes/cmd/${program}"
  "${folder}/${program}" --version
done
go -C tools/kubernetes build -ldflags '-s -w' -o "${folder}/etcd" go.etcd.io/etcd/server/v3
"${folder}/etcd" --version
echo "${pins}" >"${stamp}"
