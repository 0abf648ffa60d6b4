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

// Package fuzz throws bytes at the way of a Job from a request into the store: decoding, with defaults and conversion to the hub, validation, and the
// conversions and encodings on the way back. It uses the codecs and strategies of the server without the server around them, so that it
// gets through thousands of inputs in a second.
//
// "make test" runs the seeds, and what past runs found (testdata); "make fuzz" looks for more.
package fuzz
