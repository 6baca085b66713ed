// Package vfs is the seam between Weir and its disk. Everything that touches a file goes through an FS, so that the same
// code runs on a real disk, on a memory disk that loses what was not synced, and under injected faults.
//
// Durability is explicit. File data is durable after File.Sync; a file's name is durable after SyncDir of its directory;
// nothing else promises anything. An error of Sync, SyncDir or SyncAll is final: what was written since the last success
// may be lost even if a later call succeeds, so callers must not retry it.
//
// Paths are slash-separated. All methods of an FS, and of a File, may be called from several goroutines at once.
package vfs

import (
	"errors"
	"io"
)

// Errors that every implementation reports, wrapped with the operation and the path; test them with errors.Is. A missing
// file is fs.ErrNotExist, an existing one fs.ErrExist.
var (
	// ErrNoSpace means that the disk (or a quota) is full. The call may have written part of its data.
	ErrNoSpace = errors.New("no space left on device")
	// ErrTooManyFiles means that this process, or the system, has no descriptor left. A call that reports it has done nothing.
	ErrTooManyFiles = errors.New("too many open files")
	// ErrLocked means that another process, or another opener in this one, holds the lock.
	ErrLocked = errors.New("locked by another process")
)

// FS is one file system.
type FS interface {
	// Create makes a new file for reading and writing, mode 0600. It fails with fs.ErrExist if there is one.
	Create(name string) (File, error)
	// Open opens an existing file for reading.
	Open(name string) (File, error)
	// OpenWrite opens an existing file for reading and writing.
	OpenWrite(name string) (File, error)
	// Rename moves a file or a directory, replacing a file of the new name. Durable after SyncDir of both directories.
	Rename(oldName, newName string) error
	// Remove deletes a file or an empty directory. Durable after SyncDir.
	Remove(name string) error
	// RemoveAll deletes a tree; a missing one is no error.
	RemoveAll(name string) error
	// MkdirAll makes a directory and its missing parents, mode 0700. The names are durable after SyncDir of each parent.
	MkdirAll(name string) error
	// ReadDir returns the names in a directory, sorted.
	ReadDir(name string) ([]string, error)
	// Stat describes a file or a directory.
	Stat(name string) (Info, error)
	// SyncDir makes the names in a directory durable.
	SyncDir(name string) error
	// SyncAll makes everything written to the file system that contains name durable: data, sizes and names. A system
	// that cannot do so reports errors.ErrUnsupported, and nothing has been synced.
	SyncAll(name string) error
	// Lock takes an exclusive lock on the file name, creating it if needed, or fails with ErrLocked at once. The lock ends
	// with Close or with the process.
	Lock(name string) (io.Closer, error)
	// Usage reports the space of the file system that contains name.
	Usage(name string) (Usage, error)
}

// File is one open file.
type File interface {
	io.ReaderAt
	io.WriterAt
	// WriteVec writes the buffers one after another from byte off on, as one system call where the system has one. It does
	// not keep or change bufs or what they hold. On an error any prefix may have been written.
	WriteVec(bufs [][]byte, off int64) (int, error)
	// Sync makes the file's data and size durable (fdatasync).
	Sync() error
	// Truncate sets the file's size in bytes; a longer file is extended with zeros. Durable after Sync.
	Truncate(size int64) error
	// Size returns the file's size in bytes.
	Size() (int64, error)
	// DropCache asks the system to forget clean cached pages of the file, so that the next read comes from the disk.
	DropCache() error
	// Close closes the file. It makes nothing durable.
	Close() error
}

// Info describes a file or a directory.
type Info struct {
	Size  int64 // bytes; 0 for a directory
	IsDir bool
}

// Usage is the space of a file system in bytes.
type Usage struct {
	Total int64
	Free  int64 // available to this process
}
