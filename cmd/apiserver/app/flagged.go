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

package app

import (
	"errors"
	"fmt"
	"net"
	"syscall"

	"github.com/jobserver-dev/jobserver/pkg/datadir"
)

// flagged puts the name of a flag in front of an error that its value is the cause of, but shows only at the start: a folder that can't be used, or a port that is
// taken.
func flagged(err error) error {
	var folder *datadir.OpenError
	var listen *net.OpError
	switch {
	case errors.As(err, &folder):
		return fmt.Errorf("--data-dir: %w", err)
	case !errors.As(err, &listen) || listen.Op != "listen":
		return err
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("--bind-address: %w", err)
	default:
		return fmt.Errorf("--secure-port: %w", err)
	}
}
