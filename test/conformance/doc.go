// Package conformance holds conversations between a client and an NSQ server. Each is held twice, with a stock nsqd (or nsqlookupd) and
// with `weir nsqd` (or `weir nsqlookupd`), both real processes with the same flags; what the client sees is written down line by line and compared.
//
//	          conversation (tcp_*_test.go, http_*_test.go, lookup_*_test.go)
//	            │                                  │
//	stock nsqd ◄┤ client            weir nsqd ◄────┤ client
//	            ▼                                  ▼
//	        transcript ──────────── diff ───── transcript
//	                                 │
//	                     differences_test.go, lookup_differences_test.go: the deliberate ones, with reasons
//
// A difference that is not in the table fails the test, and so does an entry of the table that no conversation needs any more. What
// differs from run to run is replaced before comparing (message ids by their order of appearance, times, ports) and checked for its form
// while it is replaced. Nothing here knows what the right answer is: stock nsqd does.
//
// The tests are behind the build tag "process" as those of package test are; `go test -tags process -v ./test/conformance` shows every
// transcript.
package conformance
