// Package nsqdata reads and writes the data directory of a stock nsqd 1.3.0: nsqd.dat, and the files of its disk queues. It knows
// nothing of Weir.
//
//	nsqd.dat                                    topics and channels, and which are paused: JSON
//	<topic>.diskqueue.<number>.dat              messages that wait for the topic's channels
//	<topic>:<channel>.diskqueue.<number>.dat    messages of one channel; on Windows with ; for :
//	<name>.diskqueue.meta.dat                   depth "\n" read file "," read position "\n" write file "," write position "\n"
//	<name>.diskqueue.<number>.dat.bad           what nsqd set aside as damaged
//
// A file is a sequence of
//
//	┌──────────┬───────────────┬──────────────┬──────────┬──────┐
//	│ size (4) │ timestamp (8) │ attempts (2) │ id (16)  │ body │      big-endian; size counts what follows it
//	└──────────┴───────────────┴──────────────┴──────────┴──────┘
//
// without checksums: the id is 16 hex digits, which tells most damage from messages. The metadata are as old as the last sync, so
// that after a crash they may point to messages that were delivered, and the last file may be longer than they say, or end with
// part of a message. Everything from the read position to the end of the last file is read.
//
// Ephemeral topics and channels are never on disk. How long a deferred message was to wait is not, either.
package nsqdata
