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

package apiserver

import (
	"fmt"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/options"
	serverstorage "k8s.io/apiserver/pkg/server/storage"

	ourv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

// DecodeStored reads an object as it stands in etcd.
func DecodeStored(value []byte) (metav1.Object, error) {
	object, _, err := Codecs.UniversalDeserializer().Decode(value, nil, nil)
	if err != nil {
		return nil, err
	}
	return meta.Accessor(object)
}

// WithEtcd makes the server store everything in etcd, as protobuf, each group in its one storage version:
// Jobs of both groups in ours, which has all their fields.
func WithEtcd(config *genericapiserver.Config, store Etcd) error {
	etcd := options.NewEtcdOptions(store.storageConfig())
	etcd.StorageConfig.StorageObjectCountTracker = config.StorageObjectCountTracker

	resources := serverstorage.NewResourceConfig()
	resources.EnableVersions(ourv1.SchemeGroupVersion, corev1.SchemeGroupVersion, coordinationv1.SchemeGroupVersion)
	factory := serverstorage.NewDefaultStorageFactory(
		etcd.StorageConfig, runtime.ContentTypeProtobuf, Codecs,
		serverstorage.NewDefaultResourceEncodingConfig(Scheme), resources, nil,
	)
	if err := etcd.ApplyWithStorageFactoryTo(factory, config); err != nil {
		return fmt.Errorf("configure etcd storage: %w", err)
	}
	return nil
}
