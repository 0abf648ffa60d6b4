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

// Package namespace empties namespaces that are being deleted, and lets them go when nothing is left in them.
//
// A namespace with a deletionTimestamp takes no new objects and stays until "kubernetes" is taken off its spec.finalizers.
// This controller deletes the objects of the kinds it is given, kind by kind in their order (content.go), says in the
// namespace's conditions what is left and why (conditions.go), and finalizes it through the subresource of that name.
package namespace
