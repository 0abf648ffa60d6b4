/*
Copyright 2026 The Jobserver Authors.

Licensed under the Apache License, Version 2.0 (the "License");
you may not use this file except in compliance with the License.
You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software
distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
See the License for the specific language governing permissions and
limitations under the License.
*/

// Package jobcontroller tests every feature of a Job against a whole server: the API, etcd and the controllers. Pods don't run. Their statuses are written
// through the API, as a kubelet would (framework.Kubelet), so that a test decides what happens to each.
//
// The rules in detail, and what can go wrong between two requests, are tested in pkg/controller/job and pkg/controller/job/plan.
package jobcontroller

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/jobserver-dev/jobserver/test/framework"
)

// The server is shared by all tests of the package, each in a namespace of its own, and so is the node.
var (
	server  *framework.Server
	kubelet *framework.Kubelet
)

// withoutNodes are the options of a server on which nothing runs, and no Pod ends because nothing does.
var withoutNodes = framework.Options{Controllers: []string{"*", "-node-agent", "-podgc"}}

func TestMain(m *testing.M) {
	os.Exit(framework.Main(m, withoutNodes, func(s *framework.Server) {
		var err error
		if kubelet, err = s.Kubelet(context.Background(), "node"); err != nil {
			fmt.Fprintf(os.Stderr, "register the node: %v\n", err)
			os.Exit(1)
		}
		server = s
	}))
}
