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

# Regenerates everything that is generated: deepcopy, defaults, conversions, protobuf, OpenAPI, clients, listers, informers and
# apply configurations. Needs protoc (Debian: protobuf-compiler); every other tool is pinned in go.mod.

source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

readonly MODULE=github.com/jobserver-dev/jobserver
readonly HUB=${MODULE}/pkg/apis/batch
readonly OURS=${HUB}/v1
readonly KUBE=${HUB}/kubev1
readonly BOILERPLATE=hack/boilerplate.go.txt
readonly GENERATED=pkg/generated

command -v protoc >/dev/null || fail "protoc is not installed (Debian: apt-get install protobuf-compiler)"

# Tools are built once into a folder that the protobuf generator, which calls protoc plugins by name, can find them in.
BIN=$(mktemp -d)
trap 'rm -rf "${BIN}"' EXIT
GOBIN=${BIN} go install tool
export PATH=${BIN}:${PATH}

generate() {
    local tool=$1
    shift
    echo "${tool}"
    "${tool}" --go-header-file "${BOILERPLATE}" "$@"
}

helpers() {
    generate deepcopy-gen --output-file zz_generated.deepcopy.go "${HUB}" "${OURS}"
    generate defaulter-gen --output-file zz_generated.defaults.go "${OURS}" "${KUBE}"
    generate conversion-gen --output-file zz_generated.conversion.go "${OURS}" "${KUBE}"
}

# protobuf works in a tree of import paths: our module beside those whose .proto files it refers to.
protobuf() {
    local tree
    tree=$(mktemp -d)
    for module in k8s.io/apimachinery k8s.io/api github.com/gogo/protobuf; do
        mkdir -p "${tree}/$(dirname ${module})"
        ln -s "$(go list -m -f '{{.Dir}}' ${module})" "${tree}/${module}"
    done
    mkdir -p "${tree}/$(dirname ${MODULE})"
    ln -s "${PWD}" "${tree}/${MODULE}"
    local meta=k8s.io/apimachinery/pkg
    generate go-to-protobuf \
        --output-dir "${tree}" \
        --proto-import "${tree}" \
        --packages "${OURS}" \
        --apimachinery-packages "-${meta}/util/intstr,-${meta}/api/resource,-${meta}/runtime/schema,-${meta}/runtime,-${meta}/apis/meta/v1,-k8s.io/api/core/v1"
    rm -rf "${tree}"
}

openapi() {
    local meta=k8s.io/apimachinery/pkg
    generate openapi-gen \
        --output-dir ${GENERATED}/openapi --output-pkg ${MODULE}/${GENERATED}/openapi \
        --output-file zz_generated.openapi.go --output-model-name-file zz_generated.model_name.go \
        --report-filename /dev/null \
        --readonly-pkg ${meta}/apis/meta/v1,${meta}/api/resource,${meta}/runtime,${meta}/version,${meta}/util/intstr,k8s.io/api/core/v1,k8s.io/api/batch/v1,k8s.io/api/policy/v1,k8s.io/api/scheduling/v1alpha3,k8s.io/api/authentication/v1,k8s.io/api/authorization/v1,k8s.io/api/coordination/v1 \
        "${OURS}" ${meta}/apis/meta/v1 ${meta}/api/resource ${meta}/runtime ${meta}/version ${meta}/util/intstr \
        k8s.io/api/core/v1 k8s.io/api/batch/v1 k8s.io/api/policy/v1 k8s.io/api/scheduling/v1alpha3 \
        k8s.io/api/authentication/v1 k8s.io/api/authorization/v1 k8s.io/api/coordination/v1
}

clients() {
    generate applyconfiguration-gen \
        --output-dir ${GENERATED}/applyconfiguration --output-pkg ${MODULE}/${GENERATED}/applyconfiguration \
        --openapi-schema <(go run ./hack/models-schema) \
        --external-applyconfigurations k8s.io/api/core/v1.PodTemplateSpec:k8s.io/client-go/applyconfigurations/core/v1 \
        "${OURS}"
    generate client-gen \
        --clientset-name versioned --input-base "" --input "${OURS}" \
        --apply-configuration-package ${MODULE}/${GENERATED}/applyconfiguration \
        --output-dir ${GENERATED}/clientset --output-pkg ${MODULE}/${GENERATED}/clientset
    generate lister-gen \
        --output-dir ${GENERATED}/listers --output-pkg ${MODULE}/${GENERATED}/listers "${OURS}"
    generate informer-gen \
        --versioned-clientset-package ${MODULE}/${GENERATED}/clientset/versioned \
        --listers-package ${MODULE}/${GENERATED}/listers \
        --output-dir ${GENERATED}/informers --output-pkg ${MODULE}/${GENERATED}/informers "${OURS}"
}

helpers
protobuf
openapi
clients
