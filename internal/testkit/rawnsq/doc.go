// Package rawnsq is a bare client of the NSQ V2 protocol for tests.
//
// Ordinary clients hide what a proof needs: go-nsq sends one command and waits for its answer, reconnects behind one's back and
// cannot say which messages of a broken connection were answered. Here a Conn writes any bytes and reads any frame; a
// Publisher keeps a window of commands on the wire and tells for each what the broker said, or that nobody knows; a Consumer
// delivers messages one by one and finishes, requeues or touches them when told to. None of them reconnects.
//
// The package knows nothing of the broker's own code, so that both cannot be wrong in the same way.
package rawnsq
