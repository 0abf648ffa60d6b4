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

# Measures a standalone server on this machine: how long it takes to be ready, its memory, and how fast it runs small Jobs.
# Needs bin/apiserver and bin/kubectl ("make build kubectl"; APISERVER= and KUBECTL= name others) and curl. Figures are good for
# comparing two builds on one quiet machine, not for comparing machines.

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

APISERVER=${APISERVER:-${REPO_ROOT}/bin/apiserver}
KUBECTL=${KUBECTL:-${REPO_ROOT}/bin/kubectl}
PORT=${PORT:-16443}

folder=$(mktemp -d)
server=
cleanup() {
  if [[ -n ${server} ]]; then
    kill "${server}" 2>/dev/null || true
    wait "${server}" 2>/dev/null || true
  fi
  rm -rf "${folder}"
}
trap cleanup EXIT

now_ms() { echo $(($(date +%s%N) / 1000000)); }

kubectl() { "${KUBECTL}" --kubeconfig "${folder}/data/admin.kubeconfig" "$@"; }

# start LABEL starts the server and says how long it took to be ready.
start() {
  local begin
  begin=$(now_ms)
  "${APISERVER}" --standalone --data-dir "${folder}/data" --secure-port "${PORT}" >"${folder}/log" 2>&1 &
  server=$!
  until curl --silent --insecure --fail --output /dev/null "https://127.0.0.1:${PORT}/readyz"; do
    kill -0 "${server}" 2>/dev/null || fail "the server ended: $(tail -n 3 "${folder}/log")"
    [[ $(($(now_ms) - begin)) -lt 60000 ]] || fail "not ready after 60 s"
    sleep 0.01
  done
  echo "ready on $1: $(($(now_ms) - begin)) ms"
}

stop() {
  kill "${server}"
  wait "${server}" || fail "the server ended with exit code $?"
  server=
}

memory() { awk -v label="$1" '$1 == "VmRSS:" {printf "resident memory %s: %d MiB\n", label, $2 / 1024}' "/proc/${server}/status"; }

# jobs_manifest FROM TO prints that many Jobs of one Pod that runs "true".
jobs_manifest() {
  local i
  for i in $(seq "$1" "$2"); do
    cat <<JOB
---
apiVersion: batch/v1
kind: Job
metadata: {name: measure-${i}}
spec:
  template:
    spec:
      restartPolicy: Never
      containers: [{name: main, image: busybox, command: ["true"]}]
JOB
  done
}

# run_jobs FROM TO creates Jobs and waits until all up to TO are complete. It counts them rather than using kubectl wait, which looks at
# one Job after another and takes longer than the Jobs.
run_jobs() {
  jobs_manifest "$1" "$2" | kubectl create --filename - >/dev/null
  until [[ $(kubectl get jobs --field-selector status.successful=1 --output name | wc -l) -eq $2 ]]; do
    sleep 0.1
  done
}

start "an empty folder"
sleep 10
memory "idle"

begin=$(now_ms)
run_jobs 1 200
echo "200 Jobs of one Pod running \"true\", kubectl included: $(($(now_ms) - begin)) ms"

run_jobs 201 1000
sleep 10
memory "with 1,000 finished Jobs"

stop
start "a used folder (1,000 finished Jobs)"
memory "after the restart"
stop
