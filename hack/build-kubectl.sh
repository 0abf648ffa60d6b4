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

# Builds kubectl of the release that tools/kubectl pins: build-kubectl.sh OUTPUT. Upstream's version is linked in as upstream does.

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

[[ $# -eq 1 ]] || fail "usage: hack/build-kubectl.sh OUTPUT"
case $1 in
/*) output=$1 ;;
*) output=${REPO_ROOT}/$1 ;;
esac

release=$(kubernetes_release tools/kubectl)
mkdir -p "$(dirname "${output}")"
echo "building kubectl ${release}: this takes minutes the first time"
go -C tools/kubectl build -ldflags "$(kubernetes_ldflags "${release}")" -o "${output}" k8s.io/kubernetes/cmd/kubectl
"${output}" version --client
