// Package descriptors shares the files that a process may have open between what it stores and its doors, so that whoever takes all
// of a door's connections leaves the others, and the logs, enough to work with.
package descriptors

import (
	"log/slog"
	"sort"
	"syscall"
)

const (
	// doorShare is the part of all connections that each listener but the first door's gets, if it asks for so many, where they do not
	// suffice for all; doorLeast is how many it gets in any case.
	doorShare = 16
	doorLeast = 4
	// unlimited stands for a limit that no process comes near.
	unlimited = 1 << 30
)

// Door is one or more listeners and how many connections each takes at a time; Most is lowered where it does not fit.
type Door struct {
	Name      string // as the log calls it
	Listeners int    // that have Most connections each
	Most      *int
}

// Limit returns how many files the process may have open; 0 if the system does not tell. The Go runtime has raised the soft limit to the
// hard one.
func Limit() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	return int(min(limit.Cur, unlimited))
}

// Share lowers what the doors take at a time until it fits into a limit, next to files for the process itself: all that are asked for, but
// a quarter of the limit at least, since more are needed as there are more topics, and half of it at most. The first door is the one
// that counts: it gets what it asks for, but leaves a sixteenth of the connections to each listener of the others. What it does not ask
// for is theirs too, in equal parts to those that ask for so many. Limit 0 is none. It logs what it lowered, in one line.
func Share(limit, files int, logger *slog.Logger, first Door, others ...Door) {
	if limit <= 0 {
		return
	}
	room := limit - min(max(files, limit/4), limit/2)
	taken := func(level int) (sum int) { // by the others, if no listener has more than level
		for _, d := range others {
			sum += d.Listeners * min(*d.Most, level)
		}
		return sum
	}
	if first.Listeners**first.Most+taken(unlimited) <= room {
		return
	}
	kept := taken(max(room/doorShare, doorLeast))
	most := min(*first.Most, max((room-kept)/first.Listeners, 1))
	left := max(room-first.Listeners*most, kept)
	level := sort.Search(left, func(level int) bool { return taken(level+1) > left })
	lowered := []any{slog.Int("open_files", limit)}
	for i, d := range append([]Door{first}, others...) {
		if i > 0 {
			most = level
		}
		if *d.Most > most {
			*d.Most = most
			lowered = append(lowered, slog.Int(d.Name, most))
		}
	}
	logger.Warn("fewer connections than configured are taken at a time, since the process may not open enough files: raise its limit of open "+
		"files (ulimit -n, LimitNOFILE=), or lower --max-connections", lowered...)
}
