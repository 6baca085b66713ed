package commitlog

import (
	"errors"
	"fmt"
	"path"

	"github.com/weirmq/weir/internal/record"
)

// Errors of stores and logs; test them with errors.Is.
var (
	// ErrFull means that the disk has no room: nothing of the round was appended, and the log goes on.
	ErrFull = errors.New("no space left for the log")
	// ErrFailed means that a write or a sync went wrong: the log takes nothing until it is opened again.
	ErrFailed = errors.New("log failed")
	// ErrClosed means that the log or its store is closed.
	ErrClosed = errors.New("log closed")
	// ErrExists means that there is a log of this id.
	ErrExists = errors.New("log exists")
	// ErrNotFound means that there is no log of this id.
	ErrNotFound = errors.New("log not found")
	// ErrOffsetOutOfRange means that an offset is deleted and not carried, or not yet committed.
	ErrOffsetOutOfRange = errors.New("offset out of range")
	// ErrCompacted means that an index lies below the log's first entry.
	ErrCompacted = errors.New("entry is deleted")
)

// ErrLost means that a message was damaged and given up by Repair; errors.As finds the LostError.
var ErrLost = errors.New("message is lost")

// LostError says which messages Repair gave up.
type LostError struct {
	First, Next record.Offset // at least the messages [First, Next)
}

// Error names the range.
func (e *LostError) Error() string {
	return fmt.Sprintf("messages %d to %d were lost to damage and given up by a repair", e.First, e.Next-1)
}

// Is reports ErrLost.
func (e *LostError) Is(target error) bool { return target == ErrLost }

// DamageError says that bytes which were durable are not what was written. The log is not opened, or the read fails; nothing
// is skipped.
type DamageError struct {
	Path   string // the damaged file
	Pos    int64  // of the first byte that is not understood
	Reason string
}

// Error names the file, the position and the command that repairs it.
func (e *DamageError) Error() string {
	return fmt.Sprintf("%s is damaged at byte %d: %s (to repair what can be: weir log repair %s)",
		e.Path, e.Pos, e.Reason, path.Dir(e.Path))
}

// ownError is a panic's text: a source broke its contract.
func ownError(format string, args ...any) string {
	return "commitlog: " + fmt.Sprintf(format, args...)
}
