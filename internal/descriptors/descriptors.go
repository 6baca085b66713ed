// Package descriptors shares the files that a process may have open between what it stores and its doors, so that whoever takes all
// of a door's connections leaves the others, and the logs, enough to work with.
package descriptors

import (
	"log/slog"
	"syscall"
)

const (
	// doorShare is the part of all connections that a door gets at most, but the first, where they do not suffice for all; doorLeast is how
	// many it gets in any case.
	doorShare = 16
	doorLeast = 4
	// unlimited stands for a limit that no process comes near.
	unlimited = 1 << 30
)

// Door is a listener and how many connections it takes at a time; Most is lowered where it does not fit.
type Door struct {
	Name string // as the log calls it
	Most *int
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
// a quarter of the limit at least, since more are needed as there are more topics, and half of it at most. The first door is the one that counts: it
// gets what the others leave, each of which has a sixteenth of the connections. Limit 0 is none. It logs what it lowered, in one line.
func Share(limit, files int, logger *slog.Logger, doors ...Door) {
	if limit <= 0 {
		return
	}
	room := limit - min(max(files, limit/4), limit/2)
	wanted := 0
	for _, d := range doors {
		wanted += *d.Most
	}
	if wanted <= room {
		return
	}
	left := room
	lowered := []any{slog.Int("open_files", limit)}
	for i := len(doors) - 1; i >= 0; i-- {
		share := max(room/doorShare, doorLeast)
		if i == 0 {
			share = max(left, 1)
		}
		*doors[i].Most = min(*doors[i].Most, share)
		left -= *doors[i].Most
		lowered = append(lowered, slog.Int(doors[i].Name, *doors[i].Most))
	}
	logger.Warn("fewer connections than configured are taken at a time, since the process may not open enough files: raise its limit of open "+
		"files (ulimit -n, LimitNOFILE=), or lower --max-connections", lowered...)
}
