// Package brokerlife drives a whole lone broker on a disk of the test's choice, and records what it was asked and what it answered.
//
// A Story outlives the broker's lives: it knows which messages were sent and acknowledged, at which place of the log, and what
// became of them. A Life is one run of the broker, from Open to Close. Both belong to one goroutine, in a synctest bubble. Nothing
// here judges: errors go to the test, and History to the history checker.
package brokerlife
