// Package auth says who may do what.
//
//	TCP session ── AUTH secret ──► Authority ──HTTP──► AUTH server (NSQ's: --auth-http-address)
//	                                   │
//	                                   ▼
//	                                Grants: which topics and channels, until when
//
//	HTTP request ── Bearer token ──► Guard ──┬─► Tokens (a file): an operator, may do everything
//	                                         └─► Authority: a client, may do what its Grants say
//
// An Authority asks NSQ's AUTH servers about a secret; its answer, Grants, is what a session keeps until it expires. A Guard stands
// before an HTTP API: each API says what a request needs (Need), the Guard whether the caller has it. Secrets and tokens never
// appear in errors or logs.
//
// Everything here may be used from any goroutine.
package auth
