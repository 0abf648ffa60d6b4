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

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage"
)

// The generic store has no name for some mistakes of clients; k8s.io/apiserver answers those with an internal error. This file gives them the
// code of a client's error, and leaves the message as it is.

// createJob creates a Job in store, for POST.
func createJob(ctx context.Context, store *genericregistry.Store, obj runtime.Object, validate rest.ValidateObjectFunc, options *metav1.CreateOptions) (runtime.Object, error) {
	created, err := store.Create(ctx, obj, validate, options)
	if errors.Is(err, storage.ErrResourceVersionSetOnCreate) {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	return created, err
}

// changedObject is the object that an update, patch or apply makes.
type changedObject struct {
	rest.UpdatedObjectInfo
}

// UpdatedObject returns the changed object. An error without a code is about what the client sent: a patch that doesn't fit the Job's schema, or an
// apply configuration with fields that are unknown or there twice.
func (c changedObject) UpdatedObject(ctx context.Context, old runtime.Object) (runtime.Object, error) {
	changed, err := c.UpdatedObjectInfo.UpdatedObject(ctx, old)
	if err == nil || hasCode(err) || ctx.Err() != nil {
		return changed, err
	}
	return nil, apierrors.NewBadRequest(err.Error())
}

func hasCode(err error) bool {
	var status apierrors.APIStatus
	return errors.As(err, &status)
}
