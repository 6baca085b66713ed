// Package proc runs real processes for tests: the weir binary and whatever is a client of it.
//
// A Process is one run of a program with its output captured; it is ended by its handle alone, so that no other process of the machine
// can be hit. A Broker is a weir node that keeps its data directory and its addresses over any number of runs, to be killed,
// stopped, frozen and started again. Linux only: it reads /proc and sends signals.
package proc
