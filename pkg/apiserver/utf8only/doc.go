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

// Package utf8only refuses requests with text that is not in UTF-8. JSON must be, and the decoders of Go put a replacement character where it isn't: the
// client would have stored something else than it sent. Strings in protobuf must be, too, and their decoders don't look: such a Job could be read in
// JSON only with other text than it has, and never be written back. YAML needs no guard, its parser refuses.
package utf8only
