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

package storage

import (
	"context"
	"errors"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
)

func TestChangedObject(t *testing.T) {
	t.Parallel()
	ended, end := context.WithCancel(t.Context())
	end()
	conflict := apierrors.NewConflict(schema.GroupResource{Resource: "jobs"}, "job", errors.New("changed"))
	tests := map[string]struct {
		ctx     context.Context
		err     error
		wantBad bool
	}{
		"no error":                      {ctx: t.Context()},
		"an error of the patch":         {ctx: t.Context(), err: errors.New("no such field"), wantBad: true},
		"an error with a code":          {ctx: t.Context(), err: conflict},
		"the end of the request":        {ctx: ended, err: context.Canceled},
		"an error as the request ended": {ctx: ended, err: errors.New("no such field")},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			job := &batch.Job{}
			info := rest.DefaultUpdatedObjectInfo(job, func(_ context.Context, changed, _ runtime.Object) (runtime.Object, error) {
				return changed, test.err
			})
			changed, err := changedObject{info}.UpdatedObject(test.ctx, &batch.Job{})
			switch {
			case test.wantBad:
				if !apierrors.IsBadRequest(err) || err.Error() != test.err.Error() {
					t.Errorf("error %v, want a BadRequest with the message of %v", err, test.err)
				}
			case !errors.Is(err, test.err):
				t.Errorf("error %v, want %v", err, test.err)
			case test.err == nil && changed == nil:
				t.Error("there is neither an object nor an error")
			}
		})
	}
}
