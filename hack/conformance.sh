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
#   hack/conformance.sh aggregated           jobserver installed in that control plane, through its own group; and through batch/v1 in
#                                            one that has switched its own off
#
# PROFILES (default: api,node) says which profiles. UPDATE=1 replaces the committed reports instead of comparing with them; it
# takes both profiles. Needs bin/conformance and bin/apiserver, bin/with-cluster for the latter two, and bin/kubectl for aggregated (the make
# targets build them). Further arguments are handed to the command conformance. Reports in YAML and JUnit's XML are left in _output/conformance.

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
  # Bash ignores "set -e" in a function whose end is looked at, as standalone does.
  bin/conformance "${arguments[@]}" "$@" || return
  if [[ -n ${UPDATE:-} ]]; then
    # Of our own version without the commit, which the report is part of.
    sed '/^version:/s/\.g[0-9a-f]*$//' "${output}/${name}.yaml" >"${reports}/${name}.yaml"
  fi
}

# server is the process that is waited for, node the one that runs a cluster's Pods.
server='' node=''

stop() {
  local process
  for process in ${node} ${server}; do
    kill "${process}" 2>/dev/null || true
    wait "${process}" 2>/dev/null || true
  done
}

# waitFor SECONDS WHAT COMMAND... waits until a command succeeds, as long as the server runs. Its log is ${dir}/log.
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

# inCluster NAME FLAGS-OF-WITH-CLUSTER -- ARGUMENTS... starts a control plane and calls NAME inside, with KUBECONFIG, CLUSTER_DIR and CONTROLLER_MANAGER set.
inCluster() {
  local name=$1 flags=()
  shift
  while [[ $1 != -- ]]; do
    flags+=("$1")
    shift
  done
  shift
  # The limits on its requests and workers would make the suite wait for the controller manager.
  bin/with-cluster \
    -controller-manager-arg=--kube-api-qps=500 -controller-manager-arg=--kube-api-burst=1000 -controller-manager-arg=--concurrent-job-syncs=20 \
    "${flags[@]}" -- "${BASH_SOURCE[0]}" "inside-${name}" "$@"
}

# startNode starts the cluster's node, if Pods are to run.
startNode() {
  if [[ ${profiles} == *node* ]]; then
    bin/apiserver node --kubeconfig "${KUBECONFIG}" --client-ca-file "${dir}/pki/client-ca.crt" --data-dir "${dir}/node" \
      --node-name conformance --secure-port 0 --schedule-pods --stop-pods-on-exit >"${dir}/node.log" 2>&1 &
    node=$!
  fi
}

insideKubernetes() {
  dir=${CLUSTER_DIR}
  trap stop EXIT
  startNode
  # It takes Kubernetes minutes to remove hundreds of namespaces, and it is thrown away.
  judge kubernetes-1.37 "${KUBECONFIG}" --keep --name kubernetes --group batch/v1 --controllers "${CONTROLLER_MANAGER}" "$@"
}

aggregated() {
  local status=0
  inCluster aggregated -- batch.jobserver.dev embedded-etcd AnyPod,UnmarkedPods "$@" || status=1
  inCluster aggregated -apiserver-arg=--runtime-config=batch/v1=false \
    -controller-manager-arg=--controllers=*,-job-controller,-cronjob-controller,-ttl-after-finished-controller \
    -- batch replace UnmarkedPods "$@" || status=1
  return "${status}"
}

# insideAggregated GROUP OVERLAY LACKS ARGUMENTS... installs jobserver in the cluster, as a process with the rights that an overlay of the manifests
# gives it, and judges it by a group. Features that it lacks beside a cluster are in docs/concepts/compatibility.md.
insideAggregated() {
  local group=$1 overlay=$2 lacks=$3 port
  shift 3
  dir=${CLUSTER_DIR}
  trap stop EXIT
  port=$(freePort)
  install "${overlay}" "${port}"
  local flags=(--kubeconfig "${dir}/account.kubeconfig" --data-dir "${dir}/jobs" --bind-address 127.0.0.1
    --secure-port "${port}" --service-port "${port}" --host-api-qps=-1)
  if [[ ${group} == batch ]]; then
    flags+=(--serve-batch-v1)
  fi
  bin/apiserver "${flags[@]}" >"${dir}/log" 2>&1 &
  server=$!
  waitFor 120 "the API service v1.${group}" \
    bin/kubectl wait --for=condition=Available --timeout=1s "apiservice/v1.${group}" >"${dir}/wait.log" 2>&1
  startNode
  # The metrics of its Job controller are its own, not the cluster's API server's; it has said itself whom to trust.
  bin/kubectl get apiservice "v1.${group}" -o 'jsonpath={.spec.caBundle}' | base64 -d >"${dir}/jobserver-ca.crt"
  judge "aggregated-${group}" "${KUBECONFIG}" --controllers "https://127.0.0.1:${port}" --controllers-ca "${dir}/jobserver-ca.crt" --keep --name aggregated --group "${group}/v1" --lacks "${lacks}" "$@"
}

# install OVERLAY PORT applies an overlay of the manifests, changed for a server that is a process on this machine, and makes the kubeconfig of its
# account: account.kubeconfig.
install() {
  local overlay=$1 port=$2 rendered=${output}/overlay-$1 url
  mkdir -p "${rendered}"
  sed "s|OVERLAY_PATH|../../../artifacts/kustomize/overlays/${overlay}|; s|SERVICE_PORT|${port}|" \
    test/e2e/aggregated/outside.yaml >"${rendered}/kustomization.yaml"
  bin/kubectl kustomize "${rendered}" | bin/kubectl apply --server-side --validate=strict -f - >"${dir}/install.log"
  url=$(bin/kubectl config view -o 'jsonpath={.clusters[0].cluster.server}')
  local account=(bin/kubectl config --kubeconfig "${dir}/account.kubeconfig")
  {
    "${account[@]}" set-cluster cluster --server "${url}" --certificate-authority "${dir}/pki/ca.crt"
    "${account[@]}" set-credentials jobserver --token "$(bin/kubectl -n jobserver-system create token jobserver --duration 24h)"
    "${account[@]}" set-context jobserver --cluster cluster --user jobserver
    "${account[@]}" use-context jobserver
  } >>"${dir}/install.log"
}

# freePort prints a port of the loopback that nobody listens on.
freePort() {
  local port
  while true; do
    port=$((20000 + RANDOM % 10000))
    if ! (: <"/dev/tcp/127.0.0.1/${port}") 2>/dev/null; then
      echo "${port}"
      return
    fi
  done
}

target=${1:-}
[[ $# -eq 0 ]] || shift
case ${target} in
standalone)
  standalone "$@"
  ;;
kubernetes)
  inCluster kubernetes -- "$@"
  ;;
aggregated)
  aggregated "$@"
  ;;
inside-kubernetes)
  insideKubernetes "$@"
  ;;
inside-aggregated)
  insideAggregated "$@"
  ;;
*)
  echo "usage: hack/conformance.sh standalone|kubernetes|aggregated [ARGUMENTS]" >&2
  exit 2
  ;;
esac
