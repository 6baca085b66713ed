package tonsq

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
)

// records is a stream cut at its delimiters by a goroutine of its own, because a read cannot be interrupted.
type records struct {
	recordC chan []byte // closed at the end; the receiver owns what it takes
	err     error       // why it ended; valid once recordC is closed
}

func readRecords(ctx context.Context, in io.Reader, delimiter byte) *records {
	r := &records{recordC: make(chan []byte, 256)}
	go func() {
		defer close(r.recordC)
		source := bufio.NewReaderSize(in, 64<<10)
		for {
			record, err := readRecord(source, delimiter)
			if len(record) > 0 {
				select {
				case r.recordC <- record:
				case <-ctx.Done():
					return
				}
			}
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				r.err = err
				return
			}
		}
	}()
	return r
}

// readRecord returns the next record without its delimiter, in memory of its own. The last record of a stream may lack the
// delimiter; it comes with io.EOF. With any other error there is no record: what was read of it is not all of it.
func readRecord(source *bufio.Reader, delimiter byte) ([]byte, error) {
	var record []byte
	for {
		part, err := source.ReadSlice(delimiter)
		if len(record)+len(part) > MaxRecordBytes+1 {
			return nil, fmt.Errorf("a record is longer than %d bytes: is --delimiter right?", MaxRecordBytes)
		}
		record = append(record, part...)
		switch {
		case err == nil:
			return bytes.TrimSuffix(record, []byte{delimiter}), nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF):
			return record, io.EOF
		default:
			return nil, fmt.Errorf("read records: %w", err)
		}
	}
}
