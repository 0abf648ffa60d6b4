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

// Package faults tests the Job controller against a whole server while requests of its clients fail: each kind of request, in each of the ways in
// which a request can fail, whether or not what it asked for was done. Whatever happens, each Pod that ended is counted once, and no Pod runs
// that should not.
//
// The same is tested on a fake API and with random faults in pkg/controller/job, and with whole servers that are killed in test/e2e/crash.
package faults

import (
	"flag"
	"os"
	"testing"

	"github.com/jobserver-dev/jobserver/test/framework"
)

// server is shared by all tests, which have a namespace and a Job controller of their own each.
var server *framework.Server

func TestMain(m *testing.M) {
	flag.Parse()
	// The tests wait most of the time: for retries, and for events that are held up.
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	options := framework.Options{Controllers: []string{"*", "-job-controller", "-node-agent", "-podgc"}}
	os.Exit(framework.Main(m, options, func(s *framework.Server) { server = s }))
}
