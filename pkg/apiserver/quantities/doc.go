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

// Package quantities refuses requests with quantities that no machine has and that would keep the server busy for minutes: "1e999999999" is
// short to write, but reading or comparing it means calculating with a number of a billion digits. The type that reads quantities,
// resource.Quantity, has no limit, and a request that is out of time doesn't stop the calculation.
//
// A decoder can't be asked to check a value before it reads it. So the guard looks at the bytes first: Serializer does so for every body that is
// decoded into a type, and Filter for the two kinds of patches that are merged without a decoder. Both first search the bytes for anything
// that could be such a number, which costs next to nothing and finds nothing in nearly every request. Only then a walk along the
// Go type of the object tells whether it is a quantity, and where: the same characters may stand in an argument of a command.
package quantities
