// The end-to-end tests drive built binaries and import nothing of the product: a module of their own, so that "go test ./..." in the
// main module needs no binaries. "make e2e" runs them.
module github.com/jobserver-dev/jobserver/test/e2e

go 1.26.0
