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

package options

import (
	"errors"

	"github.com/spf13/pflag"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
)

// Run are the flags of the run command.
type Run struct {
	Filenames []string

	// serve holds the flags that the throw-away server shares with a lasting one.
	serve *Serve
}

// NewRun returns the defaults.
func NewRun() *Run {
	serve := NewServe()
	serve.Standalone = true
	serve.SecurePort = 0
	return &Run{serve: serve}
}

// AddFlags adds all flags to flags.
func (r *Run) AddFlags(flags *pflag.FlagSet) {
	flags.StringArrayVarP(&r.Filenames, "filename", "f", r.Filenames, "File with the objects to create, in YAML or JSON, any number of documents; - is standard input. May be repeated. Required.")
	r.serve.addJobFlags(flags)
}

// Validate returns an error that names every flag with a bad value.
func (r *Run) Validate() error {
	var errs []error
	if len(r.Filenames) == 0 {
		errs = append(errs, errors.New("-f, --filename: is required"))
	}
	return utilerrors.NewAggregate(append(errs, r.serve.validateJobs()...))
}

// Server returns the flags of the throw-away server, whose data folder is dataDir.
func (r *Run) Server(dataDir string) *Serve {
	serve := *r.serve
	serve.DataDir = dataDir
	return &serve
}
