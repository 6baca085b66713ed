// Package migrate brings what a stock nsqd has on disk into a Weir data directory, and back.
//
// Import. Weir's data directory is made aside, in the folder weir-import of where it is to be, with a node's own broker; then it is
// put in its place. Until that begins nothing else is changed, so an import that was cut short, by a crash too, is thrown away
// and begun anew: nothing is lost, nothing is there twice.
//
//	weir-import/data/       the data directory in the making
//	weir-import/COMPLETE    it is complete: from here on the import is only brought to its end
//	nsq-imported/           nsqd's files, moved away when both share the directory
//	FORMAT                  moved last: the import is done, a node starts
//
// A topic has one log, and nsqd a copy of each message for each channel that has it. So a channel's backlog is published to the
// topic and finished in all its other channels; the topic's own backlog, which all channels are to have, comes last. What is kept
// of a message: body, attempts, the order within its queue. It gets a new id and time.
//
// Export reads each channel's unfinished messages and writes a directory of nsqd's, aside too, which then gets its name.
//
// Calls are for one goroutine, while no node runs on the directories: locks see to that.
package migrate
