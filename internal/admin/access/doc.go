// Package access decides who a request to the admin page comes from and what it may do.
//
// There are three ways to be somebody. A token, from a file of them: sent with each request (Authorization: Bearer), or exchanged for
// a session cookie by logging in. A reverse proxy in front, which names the user in a header; as in nsqadmin the header is trusted as
// it stands, so nobody must be able to reach the page around the proxy. And, when neither is set up, everybody is an administrator, as
// in nsqadmin: then the page should be reachable by those alone who may do everything.
//
// Sessions live in memory and end with the process.
//
// Concurrency: a Guard may be used from any goroutine.
package access
