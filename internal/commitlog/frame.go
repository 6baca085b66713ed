package commitlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/weirmq/weir/internal/record"
)

// Sizes of a frame, in bytes. docs/format/frame.md draws it.
const (
	frameHeaderSize = 56
	frameAlign      = 8
	// MaxPayload is the largest payload of an entry in bytes. A length above it is taken for damage before anything is
	// allocated.
	MaxPayload = 64<<20 - 4096
)

// kindMark is the kind of a frame that is no entry: it only repeats where the log ends and says what of it is durable. Marks
// are local to one disk.
const kindMark record.Kind = 16

// kindLost is the kind of a frame that Repair put where entries were damaged: they are gone up to its index, and the
// messages up to its base. Its payload is zeros.
const kindLost record.Kind = 17

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// frameHeader is the decoded head of a frame.
type frameHeader struct {
	length     int // of the payload in bytes, without padding
	kind       record.Kind
	flags      record.Flags
	payloadCRC uint32
	term       record.Term
	index      record.Index // of a mark, that of the entry before it
	base       record.Offset
	time       int64        // Unix ns
	durable    record.Index // what was known durable on this disk when the frame was written
}

// size returns the bytes that the frame takes in its file: header, payload, padding.
func (h *frameHeader) size() int64 { return frameSize(h.length) }

func frameSize(payload int) int64 {
	return (frameHeaderSize + int64(payload) + frameAlign - 1) &^ (frameAlign - 1)
}

// saltSeed turns a segment's salt into the start value of its frames' header checksums, so that frames of other files, and
// users' bytes that look like frames, never pass for this segment's.
func saltSeed(salt [8]byte) uint32 { return crc32.Update(0, castagnoli, salt[:]) }

// headerChecksum is never 0, so that zeros never pass for a frame.
func headerChecksum(b []byte, seed uint32) uint32 {
	if c := crc32.Update(seed, castagnoli, b[4:frameHeaderSize]); c != 0 {
		return c
	}
	return ^uint32(0)
}

// putFrameHeader encodes h into the first 56 bytes of b.
func putFrameHeader(b []byte, h *frameHeader, seed uint32) {
	binary.BigEndian.PutUint32(b[4:], uint32(h.length))
	b[8] = byte(h.kind)
	b[9] = byte(h.flags)
	b[10], b[11] = 0, 0
	binary.BigEndian.PutUint32(b[12:], h.payloadCRC)
	binary.BigEndian.PutUint64(b[16:], uint64(h.term))
	binary.BigEndian.PutUint64(b[24:], uint64(h.index))
	binary.BigEndian.PutUint64(b[32:], uint64(h.base))
	binary.BigEndian.PutUint64(b[40:], uint64(h.time))
	binary.BigEndian.PutUint64(b[48:], uint64(h.durable))
	binary.BigEndian.PutUint32(b[0:], headerChecksum(b, seed))
}

var (
	errFrameShort    = errors.New("header cut short")
	errFrameChecksum = errors.New("header checksum does not match")
)

// parseFrameHeader decodes and checks the header at the start of b. It allocates nothing but errors.
func parseFrameHeader(b []byte, seed uint32) (frameHeader, error) {
	if len(b) < frameHeaderSize {
		return frameHeader{}, errFrameShort
	}
	if binary.BigEndian.Uint32(b) != headerChecksum(b, seed) {
		return frameHeader{}, errFrameChecksum
	}
	h := frameHeader{
		length:     int(binary.BigEndian.Uint32(b[4:])),
		kind:       record.Kind(b[8]),
		flags:      record.Flags(b[9]),
		payloadCRC: binary.BigEndian.Uint32(b[12:]),
		term:       record.Term(binary.BigEndian.Uint64(b[16:])),
		index:      record.Index(binary.BigEndian.Uint64(b[24:])),
		base:       record.Offset(binary.BigEndian.Uint64(b[32:])),
		time:       int64(binary.BigEndian.Uint64(b[40:])),
		durable:    record.Index(binary.BigEndian.Uint64(b[48:])),
	}
	return h, h.check(b[10] == 0 && b[11] == 0)
}

// check refuses what putFrameHeader never writes.
func (h *frameHeader) check(zeros bool) error {
	switch {
	case h.length > MaxPayload:
		return fmt.Errorf("payload of %d bytes is longer than %d", h.length, MaxPayload)
	case !zeros:
		return errors.New("reserved bytes are not zero")
	case h.kind == kindMark && h.length != 0:
		return errors.New("a mark with a payload")
	case h.kind == record.KindBatch && h.length < record.HeaderBytes:
		return fmt.Errorf("a batch of %d bytes", h.length)
	case h.kind != kindMark && h.kind != kindLost && (h.kind < record.KindBatch || h.kind > record.KindRaft):
		return fmt.Errorf("unknown kind %d", h.kind)
	case h.base < 0:
		return errors.New("negative offset")
	case h.durable > h.index:
		return errors.New("durable index above its own")
	}
	return nil
}

// entryHeader returns the header of e's frame.
func entryHeader(e *record.Entry, durable record.Index) frameHeader {
	return frameHeader{
		length: len(e.Payload), kind: e.Kind, flags: e.Flags, payloadCRC: payloadChecksum(e.Kind, e.Payload),
		term: e.Term, index: e.Index, base: e.Base, time: e.Time, durable: durable,
	}
}

// payloadChecksum covers of a batch only what the batch's own CRC leaves out, so that no byte is summed twice.
func payloadChecksum(kind record.Kind, payload []byte) uint32 {
	if kind == record.KindBatch {
		payload = payload[:record.StampBytes]
	}
	return crc32.Checksum(payload, castagnoli)
}

// checkPayload verifies every byte of the frame's payload.
func (h *frameHeader) checkPayload(payload []byte) error {
	if payloadChecksum(h.kind, payload) != h.payloadCRC {
		return errors.New("payload checksum does not match")
	}
	if h.kind != record.KindBatch {
		return nil
	}
	b, err := record.ParseBatch(payload)
	switch {
	case err != nil:
		return err
	case b.BaseOffset() != h.base:
		return errors.New("base offset of the batch does not match")
	}
	return b.Verify()
}

// entry returns the frame as an entry that shares payload.
func (h *frameHeader) entry(payload []byte) record.Entry {
	return record.Entry{Kind: h.kind, Flags: h.flags, Term: h.term, Index: h.index, Base: h.base, Time: h.time, Payload: payload}
}

// logEnd is where a log, or a segment of it, ends.
type logEnd struct {
	index record.Index  // of the last entry, 0 if there is none
	next  record.Offset // of the message to come
	term  record.Term   // of the last entry
	time  int64         // of the last entry, Unix ns
}

// after returns the end once e is appended.
func (logEnd) after(e *record.Entry) logEnd {
	return logEnd{index: e.Index, next: e.Next(), term: e.Term, time: e.Time}
}

// markHeader returns the header of a mark at this end.
func (end logEnd) markHeader(durable record.Index) frameHeader {
	return frameHeader{kind: kindMark, payloadCRC: payloadChecksum(kindMark, nil),
		term: end.term, index: end.index, base: end.next, time: end.time, durable: durable}
}

// markEnd returns the end that a mark repeats, or that a lost frame leads to.
func (h *frameHeader) markEnd() logEnd {
	return logEnd{index: h.index, next: h.base, term: h.term, time: h.time}
}
