package commitlog

import (
	"fmt"
	"strconv"
)

// LogID names a log within a store: the incarnation of a topic, and the partition.
type LogID struct {
	Topic     uint64
	Partition uint16
}

// String returns the name of the log's directory: 16 hex digits, a dash, 5 decimal digits.
func (id LogID) String() string { return fmt.Sprintf("%016x-%05d", id.Topic, id.Partition) }

// parseLogID is the inverse of String. It refuses every other spelling.
func parseLogID(name string) (LogID, bool) {
	if len(name) != 22 || name[16] != '-' {
		return LogID{}, false
	}
	topic, err := strconv.ParseUint(name[:16], 16, 64)
	if err != nil {
		return LogID{}, false
	}
	partition, err := strconv.ParseUint(name[17:], 10, 16)
	if err != nil {
		return LogID{}, false
	}
	id := LogID{Topic: topic, Partition: uint16(partition)}
	return id, id.String() == name
}
