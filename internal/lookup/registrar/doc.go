// Package registrar tells lookup services what a broker has, as nsqd does.
//
//	Source ── Changes ──► Registrar ──► link ──► lookup service     one connection for each address
//	          Advertised ◄──────────────┘
//
// A link compares what the broker has (Source.Advertised) with what it has told its service on this connection, and sends the difference
// as REGISTER and UNREGISTER: after every change, and, all anew, after every connect. So no event can be lost, and what a node
// advertises may change for whatever reason. Between changes it sends a PING every 15 s. A service that cannot be reached, hangs, or does
// not speak the protocol is dialled again after 100 ms, then less often, at most every 5 s; the others do not notice, nor does
// the broker.
//
// An address that begins with tls:// is reached by TLS.
//
// Known asks the connected services which channels a new topic has elsewhere, over HTTP, for at most a second.
package registrar
