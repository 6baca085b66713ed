// Package commitlog keeps the logs of a node on its disk: entries in frames, frames in segments, one directory for each
// partition. It owns when writes become durable, what recovery may cut and what it must report, and how messages are found
// again. It knows nothing of channels, topics' names or replication; package replica gives it entries that have their place.
//
//	Store ── one for each data directory: lock, format, commit rounds, tail cache, descriptors
//	  Log ── one for each partition: appends of its Source, Reader, Replay, checkpoints, trims
//
// # A data directory
//
//	DIR/
//	├── LOCK                            held while a process uses the directory
//	├── FORMAT                          version of everything below
//	├── trash/                          deleted; removed in the background and at every start
//	└── logs/
//	    └── 000000000000002a-00000/     topic incarnation (hex) and partition
//	        ├── log                     whose log it is, and which entry is its first
//	        ├── 00000000000000000001.log      segment that begins with entry 1, sealed
//	        ├── 00000000000000000001.index    its sparse index; can be rebuilt
//	        ├── 00000000000000004711.log      the last segment; active once something is appended
//	        ├── 00000000000000004500.state    checkpoint of the state as of entry 4500
//	        └── damaged/                what Repair replaced, as it was
//
// A segment whose header is not yet synced is called .new. So a .log file always has an intact header, or is damaged.
//
// # A segment
//
//	┌─────────┬───────────────────┬───────────────────┬─────────┬──────┬─────────────┐
//	│ header  │ frame             │ frame             │  …      │ mark │ zeros ahead │
//	│ 64 B    │ 56 B + payload    │ 56 B + payload    │         │ 56 B │             │
//	└─────────┴───────────────────┴───────────────────┴─────────┴──────┴─────────────┘
//
// Frames begin at multiples of 8 bytes. Each tells up to which index the log was known durable when it was written; an idle
// log writes a mark that does. docs/format/ draws every file byte by byte.
//
// # Rounds
//
// A Source is asked for its entries by commit rounds. With SyncAlways the Store's committer runs one round at a time for all
// logs that were kicked: collect and write each, sync once, publish and answer each. What arrives meanwhile goes into the next
// round; there is no timer. A publisher that had the last rounds for itself runs its next ones itself, with Commit. Other
// policies answer after the write, which the caller of Kick does itself, and a syncer follows.
// Rounds are the only place that syncs the tail. A failed write or sync is final for its log; a full disk is not.
//
// # Recovery
//
// Opening a log that was closed cleanly reads one header for each segment and the last mark. Otherwise the end of the log is
// made durable, read back from the disk and checked frame by frame. What is torn above the highest index that was known
// durable is cut, durably, and logged; everything else that does not fit is a *DamageError. Files of an earlier life are never
// appended to. Damage further up is found by its checksum when it is read.
//
// # Repair
//
// Inspect reads everything and changes nothing. Repair, with the node stopped, puts a frame of the local kind 17 in the place of
// what is damaged: all that is intact keeps its index, its offset and its position. Indexes and offsets of a repaired log have
// gaps: Replay leaves the entries out, and a Reader answers *LostError.
package commitlog
