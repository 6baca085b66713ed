// Package endurance runs nodes for a long time under a mixed load, with kills and stops, and watches that they grow in nothing: memory,
// descriptors, goroutines, disk. Its tests start processes and are behind the build tag process.
//
// A run has two halves. In the first nodes are killed and stopped at random; the history checker says at the end whether anything was
// lost. In the second every node lives on, so that what it would lose track of adds up; what it takes is compared between an early and a
// late window, and at last, without clients, with what a node takes that was just started.
package endurance
