// Package test holds what needs processes: the real weir binary, killed and frozen, with real clients.
//
// Its tests are behind the build tag "process", so that "go test ./..." stays quick and needs nothing but Go; docs/testing.md tells
// how to run them. Files are named for what they prove.
package test
