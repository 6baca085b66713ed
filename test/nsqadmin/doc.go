// Package nsqadmin runs weir nsqadmin beside stock nsqadmin over the same stock nsqd, stock nsqlookupd and Weir nodes, as processes, and
// compares what both answer; and it measures what many open pages cost. Run it with the build tag process.
//
// Answers must have the same shape: the same keys with values of the same kind. What differs on purpose stands in differences.
package nsqadmin
