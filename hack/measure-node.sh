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

# Measures the node agent on this machine: Pods of "true" through the whole stack against processes of "true" under xargs, with the
# CPU that both take, and the memory of the server and of supervisors while 500 Pods run. PODS= and CONCURRENT= set other numbers, PARALLEL=
# how many run at a time. Needs bin/apiserver and bin/kubectl ("make build kubectl"; APISERVER= and KUBECTL= name others) and curl.

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

APISERVER=${APISERVER:-${REPO_ROOT}/bin/apiserver}
KUBECTL=${KUBECTL:-${REPO_ROOT}/bin/kubectl}
PORT=${PORT:-16444}
PODS=${PODS:-1000}
PARALLEL=${PARALLEL:-50}
CONCURRENT=${CONCURRENT:-500}

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

per_second() { awk -v n="$1" -v ms="$2" 'BEGIN {printf "%.0f", n * 1000 / ms}'; }

# server_cpu prints the milliseconds of CPU that the server and its children that have ended took.
server_cpu() { awk '{sub(/.*\) /, ""); split($0, f, " "); printf "%d", (f[12] + f[13] + f[14] + f[15]) * 10}' "/proc/${server}/stat"; }

# job NAME COUNT PARALLELISM COMMAND prints an Indexed Job.
job() {
  cat <<JOB
apiVersion: batch/v1
kind: Job
metadata: {name: $1}
spec:
  completionMode: Indexed
  completions: $2
  parallelism: $3
  template:
    spec:
      restartPolicy: Never
      terminationGracePeriodSeconds: 0
      containers: [{name: main, image: busybox, command: [$4]}]
JOB
}

# poll WANT COMMAND... runs a command again and again until it prints WANT.
poll() {
  local want=$1 begin
  begin=$(now_ms)
  shift
  until [[ $("$@") == "${want}" ]]; do
    [[ $(($(now_ms) - begin)) -lt 600000 ]] || fail "after 10 minutes \"$*\" does not print ${want}"
    sleep 0.1
  done
}

succeeded() { kubectl get job "$1" --output 'jsonpath={.status.succeeded}'; }

running() { kubectl get job "$1" --output 'jsonpath={.status.ready}'; }

# supervisors prints the process ids of the server's supervisors.
supervisors() { pgrep --parent "${server}" --full '^jobserver-supervisor' || true; }

begin=$(now_ms)
"${APISERVER}" --standalone --data-dir "${folder}/data" --secure-port "${PORT}" --terminated-pod-gc-threshold 0 >"${folder}/log" 2>&1 &
server=$!
until curl --silent --insecure --fail --output /dev/null "https://127.0.0.1:${PORT}/readyz"; do
  kill -0 "${server}" 2>/dev/null || fail "the server ended: $(tail -n 3 "${folder}/log")"
  [[ $(($(now_ms) - begin)) -lt 60000 ]] || fail "not ready after 60 s"
  sleep 0.05
done

job warm 20 20 '"true"' | kubectl create --filename - >/dev/null
poll 20 succeeded warm

begin=$(now_ms)
TIMEFORMAT='%3U %3S'
cpu=$({ time seq "${PODS}" | xargs --max-args 1 --max-procs "${PARALLEL}" true; } 2>&1)
bare=$(($(now_ms) - begin))
echo "${PODS} processes of \"true\", xargs -P ${PARALLEL}: ${bare} ms, $(per_second "${PODS}" "${bare}")/s, $(awk -v n="${PODS}" '{printf "%.1f", ($1 + $2) * 1000 / n}' <<<"${cpu}") ms of CPU each"

cpu=$(server_cpu)
begin=$(now_ms)
job rate "${PODS}" "${PARALLEL}" '"true"' | kubectl create --filename - >/dev/null
poll "${PODS}" succeeded rate
whole=$(($(now_ms) - begin))
cpu=$(($(server_cpu) - cpu))
echo "${PODS} Pods of \"true\", parallelism ${PARALLEL}: ${whole} ms, $(per_second "${PODS}" "${whole}")/s, $(awk -v c="${cpu}" -v n="${PODS}" 'BEGIN {printf "%.1f", c / n}') ms of CPU each in the server and its children"

before=$(awk '$1 == "VmRSS:" {print $2}' "/proc/${server}/status")
begin=$(now_ms)
job many "${CONCURRENT}" "${CONCURRENT}" 'sleep, "3600"' | kubectl create --filename - >/dev/null
poll "${CONCURRENT}" running many
echo "${CONCURRENT} Pods of \"sleep\" at once, from the creation of the Job until all are ready: $(($(now_ms) - begin)) ms"
after=$(awk '$1 == "VmRSS:" {print $2}' "/proc/${server}/status")
echo "resident memory of the server: $((before / 1024)) MiB before, $((after / 1024)) MiB with them"
files=()
for pid in $(supervisors); do
  files+=("/proc/${pid}/smaps_rollup")
done
awk '
  FNR == 1 {n++}
  $1 == "Rss:" {rss += $2}
  $1 == "Pss:" {pss += $2}
  $1 == "Private_Clean:" || $1 == "Private_Dirty:" {own += $2}
  END {printf "a supervisor, mean of %d: %.1f MiB resident, %.1f MiB its share of it, %.1f MiB of its own\n", n, rss / n / 1024, pss / n / 1024, own / n / 1024}
' "${files[@]}"
begin=$(now_ms)
kubectl delete job many --cascade=foreground >/dev/null
echo "their deletion: $(($(now_ms) - begin)) ms"
