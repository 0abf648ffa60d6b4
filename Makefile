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

# "make" alone lists the targets.
.DEFAULT_GOAL := help

# The same for every target, so that building and testing share Go's build cache: static binaries without machine paths. The
# version is set by hack/version.sh, not taken from git by Go.
export CGO_ENABLED ?= 0
export GOFLAGS := $(strip $(GOFLAGS) -trimpath -buildvcs=false)

GO        ?= go
BIN       := bin
OUTPUT    := _output
APISERVER := $(BIN)/apiserver
KUBECTL   := $(BIN)/kubectl

# What is embedded in the server, and started for each container.
SUPERVISOR := pkg/nodeagent/runtime/program/supervisor

# What "make run" runs, and where and how "make server" serves.
FILE     ?= artifacts/examples/indexed-shards.yaml
DATA_DIR ?= $(OUTPUT)/server
PORT     ?= 6443

# What "make image" makes, and by what.
IMAGE          ?= ghcr.io/jobserver-dev/jobserver:$(shell hack/version.sh tag)
CONTAINER_TOOL ?= docker

# Handed to go test by the test targets, and to the commands conformance and mutants: make test TESTFLAGS='-run TestJob -v'.
TESTFLAGS ?=
CONFORMANCEFLAGS ?=
MUTANTSFLAGS     ?=
BENCH     ?= .
COUNT     ?= 6

# How often make crash kills servers; how often make failover takes the leader away in each way, and for how long etcd; how many random
# requests make compare makes; how many random histories of a Job make histories runs.
KILLS     ?= 200
FAILOVERS ?= 5
OUTAGE    ?= 30s
JOBS      ?= 100000
HISTORIES ?= 100000

# Which targets make fuzz runs, as a regular expression, and for how long each.
FUZZ     ?= .
FUZZTIME ?= 1m

# How many Pods make soak runs. make e2e runs 100.
PODS ?= 1000

##@ Run

.PHONY: run
run: build ## Run an example to its end, server and all (FILE=path for another one)
	$(APISERVER) run -f $(FILE)

.PHONY: server
server: build ## Serve on this machine and say how to reach it (DATA_DIR=, PORT=)
	@mkdir -p $(DATA_DIR)
	@echo 'In another terminal (make kubectl builds it):'
	@echo '  $(KUBECTL) --kubeconfig $(DATA_DIR)/admin.kubeconfig apply -f artifacts/examples/hello.yaml'
	$(APISERVER) --standalone --data-dir $(DATA_DIR) --secure-port $(PORT)

##@ Build

.PHONY: build
build: ## Build the server, static and stripped: bin/apiserver
	$(GO) build -ldflags '-s -w' -o $(SUPERVISOR) ./cmd/supervisor
	$(GO) build -tags embedsupervisor -ldflags "$$(hack/version.sh ldflags)" -o $(APISERVER) ./cmd/apiserver

.PHONY: kubectl
kubectl: $(KUBECTL) ## Build the kubectl of the same Kubernetes release: bin/kubectl (takes minutes the first time)

# The tools module pins the release, so only a change of it makes a new build necessary.
$(KUBECTL): tools/kubectl/go.mod tools/kubectl/go.sum
	hack/build-kubectl.sh $@

.PHONY: image
image: build ## Build the container image (IMAGE=, CONTAINER_TOOL=docker|podman|buildah)
	$(CONTAINER_TOOL) build --tag $(IMAGE) --file artifacts/image/Dockerfile $(BIN)

.PHONY: kubernetes
kubernetes: ## Build a real control plane for the tests: _output/kubernetes (takes minutes the first time)
	hack/build-kubernetes.sh $(OUTPUT)/kubernetes

.PHONY: clean
clean: ## Remove what was built and what servers left in _output
	rm -rf $(BIN) $(OUTPUT) $(SUPERVISOR)

##@ Test

.PHONY: test
test: ## Run the unit and integration tests
	$(GO) test -timeout 20m $(TESTFLAGS) ./...

# Left out: requests as large as may be, one after the other. They take the server seconds of computing, ten times that under the race
# detector, and so more than a request may take; no goroutines meet in it that don't in the others.
NOT_RACED := ^TestLargeRequests$$

.PHONY: test-race
test-race: ## Run the same tests with the race detector (needs a C compiler)
	CGO_ENABLED=1 $(GO) test -race -timeout 40m -skip '$(NOT_RACED)' $(TESTFLAGS) ./...

.PHONY: histories
histories: ## Drive the Job controller through random histories (HISTORIES=)
	GOGC=400 $(GO) test ./pkg/controller/job/plan -run '^TestHistories$$' -count=1 -timeout 60m -v -histories=$(HISTORIES) $(TESTFLAGS)

.PHONY: e2e
e2e: build kubectl ## Drive a real server with a real kubectl
	$(GO) -C test/e2e test -count=1 -parallel 4 -timeout 20m $(TESTFLAGS) ./standalone/...

.PHONY: soak
soak: build kubectl ## Run Pods under random kills of everything, and look for what is left (PODS=, TESTFLAGS='-args -soak-seed=1')
	$(GO) -C test/e2e test ./standalone -count=1 -timeout 90m -v -run '^TestSoak$$' $(TESTFLAGS) $(if $(findstring -args,$(TESTFLAGS)),,-args) -soak-pods=$(PODS)

.PHONY: e2e-cluster
e2e-cluster: build kubectl kubernetes ## The same beside a real Kubernetes control plane
	$(GO) -C test/e2e test -count=1 -timeout 30m $(TESTFLAGS) ./cluster/...

.PHONY: e2e-aggregated
e2e-aggregated: build kubectl kubernetes ## Install it in a real control plane and drive it through that (TESTFLAGS=-short: the fast group)
	$(GO) -C test/e2e test -count=1 -parallel 6 -timeout 60m $(TESTFLAGS) ./aggregated/...

.PHONY: crash
crash: build ## Kill servers while Jobs run, and check that nothing is lost or done twice (KILLS=)
	$(GO) -C test/e2e test -count=1 -timeout 60m -v ./crash -run '^TestKills$$' -kills=$(KILLS) $(TESTFLAGS)

.PHONY: failover
failover: build kubernetes ## Take leaders away from replicas, and their etcd (FAILOVERS=, OUTAGE=)
	$(GO) -C test/e2e test -count=1 -timeout 60m -v ./crash -run '^Test(Replicas|EtcdOutage)$$' -failovers=$(FAILOVERS) -outage=$(OUTAGE) $(TESTFLAGS)

.PHONY: conformance
conformance: build ## Judge a standalone server by the conformance suite (PROFILES=; UPDATE=1 writes its report anew)
	$(GO) build -o $(BIN)/conformance ./test/conformance/cmd/conformance
	hack/conformance.sh standalone $(CONFORMANCEFLAGS)

.PHONY: conformance-kubernetes
conformance-kubernetes: build kubernetes ## Judge a real Kubernetes by the same suite, with our node as its node (the same)
	$(GO) build -o $(BIN)/conformance ./test/conformance/cmd/conformance
	$(GO) -C test/e2e build -o $(CURDIR)/$(BIN)/with-cluster ./cluster/with-cluster
	hack/conformance.sh kubernetes $(CONFORMANCEFLAGS)

.PHONY: conformance-aggregated
conformance-aggregated: build kubectl kubernetes ## Judge our server behind a real Kubernetes, with both groups and our node (the same)
	$(GO) build -o $(BIN)/conformance ./test/conformance/cmd/conformance
	$(GO) -C test/e2e build -o $(CURDIR)/$(BIN)/with-cluster ./cluster/with-cluster
	hack/conformance.sh aggregated $(CONFORMANCEFLAGS)

.PHONY: mutants
mutants: ## Break rules of ours one by one, and see that the suite notices (MUTANTSFLAGS=-all for those with a result, too)
	$(GO) build -o $(BIN)/conformance ./test/conformance/cmd/conformance
	$(GO) build -o $(BIN)/mutants ./test/conformance/cmd/mutants
	$(BIN)/mutants $(MUTANTSFLAGS)

.PHONY: compare
compare: ## Compare the Job API with Kubernetes' own code (JOBS= random requests)
	$(GO) -C test/compare test . -count=1 -timeout 60m -v -jobs=$(JOBS) $(TESTFLAGS)

.PHONY: clients
clients: ## Drive a server with other people's client libraries: controller-runtime, client-go
	$(GO) -C test/clients test . -count=1 -timeout 20m $(TESTFLAGS)

.PHONY: record
record: ## Record what a server that runs has stored, and certificates, for the tests of later versions (DATA_DIR=, VERSION=; test/integration/upgrade/doc.go)
	$(if $(VERSION),,$(error VERSION= is missing))
	$(GO) run ./test/integration/upgrade/record -data-dir $(DATA_DIR) -file test/integration/upgrade/testdata/$(VERSION).json
	$(GO) test ./pkg/apiserver/aggregated/certificates -run '^TestRecord$$' -record-as $(VERSION)

.PHONY: fuzz
fuzz: ## Look for bytes that break decoding, defaults, validation or conversion (FUZZTIME= for each target, FUZZ= which)
	FUZZ='$(FUZZ)' FUZZTIME='$(FUZZTIME)' hack/fuzz.sh

.PHONY: bench
bench: ## Run the benchmarks and compare with the last run (BENCH=, COUNT=)
	BENCH='$(BENCH)' COUNT='$(COUNT)' hack/bench.sh

.PHONY: measure
measure: build kubectl ## Measure a standalone server: start, memory, small Jobs
	hack/measure-standalone.sh

.PHONY: measure-node
measure-node: build kubectl ## Measure the node agent: Pods a second, memory of supervisors, 500 Pods at once
	hack/measure-node.sh

.PHONY: measure-hop
measure-hop: build kubectl kubernetes ## Measure requests that go through a cluster's API server, and the same straight to ours
	$(GO) -C test/e2e test ./aggregated -run '^$$' -bench '^BenchmarkHop$$' -benchtime 2000x -count=1 $(TESTFLAGS)

##@ Check

.PHONY: verify
verify: ## Run all checks: formatting, linters, import rules, module files, generated code
	hack/verify-all.sh

.PHONY: update
update: ## Repair what a machine can repair, and regenerate
	hack/update-all.sh

.PHONY: generate
generate: ## Regenerate code only (needs protoc)
	hack/update-codegen.sh

.PHONY: help
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} \
		/^##@/ {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z0-9_-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' Makefile
