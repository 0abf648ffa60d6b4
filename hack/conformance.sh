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

# Judges a server by the conformance suite, and compares how it did with the committed report:
#
#   hack/conformance.sh standalone           jobserver alone, through both groups
#   hack/conformance.sh kubernetes           the real control plane in _output/kubernetes, with apiserver node as its node
#
# PROFILES (default: api,node) says which profiles. UPDATE=1 replaces the committed reports instead of comparing with them; it
# takes both profiles. Needs bin/conformance and bin/apiserver, and bin/with-cluster for kubernetes (make conformance builds them).
# Further arguments are handed to the command conformance. Reports in YAML and JUnit's XML are left in _output/conformance.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

profiles=${PROFILES:-api,node}
reports=test/conformance/reports
output=_output/conformance
mkdir -p "${output}"

# judge NAME KUBECONFIG ARGUMENTS... judges the server of a kubeconfig.
judge() {
  local name=$1 kubeconfig=$2
  shift 2
  local arguments=(--kubeconfig "${kubeconfig}" --profile "${profiles}" --parallel "${PARALLEL:-24}"
    --report "${output}/${name}.yaml" --junit "${output}/${name}.xml")
  if [[ -z ${UPDATE:-} ]]; then
    arguments+=(--expect "${reports}/${name}.yaml")
  fi
  echo "=== ${name}"
  bin/conformance "${arguments[@]}" "$@"
  if [[ -n ${UPDATE:-} ]]; then
    # Of our own version without the commit, which the report is part of.
    sed '/^version:/s/\.g[0-9a-f]*$//' "${output}/${name}.yaml" >"${reports}/${name}.yaml"
  fi
}

stop() {
  kill "${server}" 2>/dev/null || true
  wait "${server}" 2>/dev/null || true
}

# waitFor SECONDS WHAT COMMAND... waits until a command succeeds.
waitFor() {
  local deadline=$((SECONDS + $1)) what=$2
  shift 2
  until "$@"; do
    if ((SECONDS > deadline)) || ! kill -0 "${server}" 2>/dev/null; then
      echo "waited in vain for ${what}:" >&2
      tail -20 "${dir}/log" >&2
      return 1
    fi
    sleep 0.2
  done
}

standalone() {
  dir=$(mktemp -d)
  # The processes end with the server.
  bin/apiserver --standalone --data-dir "${dir}/data" --secure-port 0 --stop-pods-on-exit >"${dir}/log" 2>&1 &
  server=$!
  trap 'stop; rm -rf "${dir}"' EXIT
  waitFor 120 "the server" test -s "${dir}/data/admin.kubeconfig"
  local status=0 group
  for group in batch batch.jobserver.dev; do
    judge "standalone-${group}" "${dir}/data/admin.kubeconfig" --name standalone --group "${group}/v1" "$@" || status=1
  done
  return "${status}"
}

# kubernetes runs inside with-cluster, which has set KUBECONFIG and CLUSTER_DIR.
kubernetes() {
  dir=${CLUSTER_DIR}
  if [[ ${profiles} == *node* ]]; then
    bin/apiserver node --kubeconfig "${KUBECONFIG}" --client-ca-file "${dir}/pki/client-ca.crt" --data-dir "${dir}/node" \
      --node-name conformance --secure-port 0 --schedule-pods --stop-pods-on-exit >"${dir}/log" 2>&1 &
    server=$!
    trap stop EXIT
  fi
  # It takes Kubernetes minutes to remove hundreds of namespaces, and it is thrown away.
  judge kubernetes-1.37 "${KUBECONFIG}" --keep --name kubernetes --group batch/v1 "$@"
}

target=${1:-}
[[ $# -eq 0 ]] || shift
case ${target} in
standalone)
  standalone "$@"
  ;;
kubernetes)
  # The limits on its requests and workers would make the suite wait for the controller manager.
  bin/with-cluster \
    -controller-manager-arg=--kube-api-qps=500 -controller-manager-arg=--kube-api-burst=1000 -controller-manager-arg=--concurrent-job-syncs=20 \
    -- "${BASH_SOURCE[0]}" inside-cluster "$@"
  ;;
inside-cluster)
  kubernetes "$@"
  ;;
*)
  echo "usage: hack/conformance.sh standalone|kubernetes [ARGUMENTS]" >&2
  exit 2
  ;;
esac
