// Package tlsconf makes TLS configurations from certificate files, for servers and for clients, and follows the files when they
// are replaced.
//
//	files ──► Source ──┬─► Server()            one *tls.Config for a listener's whole life
//	                   ├─► Client(name)        a *tls.Config for one outgoing connection
//	                   └─► DialContext(…)      an outgoing connection, verified; fits http.Transport.DialTLSContext
//
// A Source looks at the files when a handshake begins, at most once in a second. What it finds there holds for that handshake
// and all later ones; connections that exist go on with what they have. New files that cannot be used (torn, expired, a key that
// does not belong to the certificate) change nothing: the old ones stay in use, and a line of the log says why. Since
// certificate and key are two files, replacing them passes through such a state; it ends with the next look.
//
// Clients always verify the server: its name, and its chain against the root CA file, or against the system's roots if there is
// none.
package tlsconf
