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

// Package garbagecollector deletes objects whose owners are gone, as metadata.ownerReferences say.
//
// It is for a server that is its own cluster. The kinds it looks after are given to it; it asks no discovery. Informers that
// keep metadata only feed a graph of who owns whom (graph.go); changes of the graph put objects on two queues:
//
//   - collect: an object with an owner that is unknown, gone or waiting for its dependents; or an owner that waits
//     (collect.go). What is to be done is decided by a pure function (decide.go), from the live object and its live owners.
//     Nothing is ever deleted on the word of a cache.
//   - orphan: an owner that is being deleted and wants to leave its dependents behind (orphan.go).
//
// The three ways to delete, as upstream has them:
//
//   - Background: the owner goes at once. Its dependents are deleted when the live owner is found missing.
//   - Foreground: the owner stays, with the finalizer foregroundDeletion, until no dependent with blockOwnerDeletion is left.
//   - Orphan: the owner stays, with the finalizer orphan, until no dependent names it any more.
//
// Dependents that linger, like a Pod that the Job controller has not counted yet, cost nothing: the watch tells when they go.
package garbagecollector
