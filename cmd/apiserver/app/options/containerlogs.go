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
	"fmt"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent"
)

// ContainerLogs are the flags that bound what containers print, with the names and defaults of a kubelet's.
type ContainerLogs struct {
	MaxSize  string
	MaxFiles int
}

// NewContainerLogs returns the defaults.
func NewContainerLogs() *ContainerLogs { return &ContainerLogs{MaxSize: "10Mi", MaxFiles: 5} }

// AddFlags adds the flags to flags.
func (c *ContainerLogs) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&c.MaxSize, "container-log-max-size", c.MaxSize, "Size, 10Mi for example, from which on the log of a container goes on in another file.")
	flags.IntVar(&c.MaxFiles, "container-log-max-files", c.MaxFiles, "Number of files, at least 2, that are kept of the log of a container. The oldest is deleted when there are more.")
}

// Validate returns an error for each bad value.
func (c *ContainerLogs) Validate() []error {
	var errs []error
	if size, err := resource.ParseQuantity(c.MaxSize); err != nil {
		errs = append(errs, fmt.Errorf("--container-log-max-size: %q: %w", c.MaxSize, err))
	} else if size.Value() <= 0 {
		errs = append(errs, fmt.Errorf("--container-log-max-size: %s is not more than 0", c.MaxSize))
	}
	if c.MaxFiles < 2 {
		errs = append(errs, errors.New("--container-log-max-files: must be at least 2"))
	}
	return errs
}

// Config returns what the flags say. They must be valid.
func (c *ContainerLogs) Config() nodeagent.LogLimits {
	size := resource.MustParse(c.MaxSize)
	return nodeagent.LogLimits{MaxSize: size.Value(), MaxFiles: c.MaxFiles}
}
