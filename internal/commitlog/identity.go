package commitlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"path"

	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/vfs"
)

// The identity file `log` of a log's directory, docs/format/store.md. It says whose log this is and which entry is the first
// that must be there, so that a first segment that got lost is told from one that was trimmed.
const (
	identityName  = "log"
	identitySize  = 32
	identityMagic = "WLID"
	flagRepaired  = 1
)

// identity is the content of the identity file.
type identity struct {
	id    LogID
	first record.Index // base index of the oldest segment, 1 for a new log
	// repaired tells that messages may be lost which nothing else in the directory tells of any more.
	repaired bool
}

func (v identity) encode() []byte {
	b := make([]byte, identitySize)
	copy(b, identityMagic)
	b[4] = formatVersion
	if v.repaired {
		b[5] = flagRepaired
	}
	binary.BigEndian.PutUint16(b[6:], v.id.Partition)
	binary.BigEndian.PutUint64(b[8:], v.id.Topic)
	binary.BigEndian.PutUint64(b[16:], uint64(v.first))
	binary.BigEndian.PutUint32(b[28:], crc32.Checksum(b[:28], castagnoli))
	return b
}

func parseIdentity(b []byte) (identity, error) {
	if len(b) != identitySize || string(b[:4]) != identityMagic {
		return identity{}, errors.New("not the identity of a log")
	}
	if binary.BigEndian.Uint32(b[28:]) != crc32.Checksum(b[:28], castagnoli) {
		return identity{}, errors.New("checksum does not match")
	}
	if b[4] != formatVersion {
		return identity{}, fmt.Errorf("format version %d, this program knows %d", b[4], formatVersion)
	}
	v := identity{
		id:    LogID{Topic: binary.BigEndian.Uint64(b[8:]), Partition: binary.BigEndian.Uint16(b[6:])},
		first: record.Index(binary.BigEndian.Uint64(b[16:])),

		repaired: b[5]&flagRepaired != 0,
	}
	if v.first == 0 {
		return identity{}, errors.New("first index is 0")
	}
	return v, nil
}

// save writes the identity durably, replacing an older one.
func (v identity) save(fsys vfs.FS, dir string) error {
	return vfs.ReplaceFile(fsys, path.Join(dir, identityName), [][]byte{v.encode()})
}

// loadIdentity reads and checks the identity of the log in dir.
func loadIdentity(fsys vfs.FS, dir string, id LogID) (identity, error) {
	name := path.Join(dir, identityName)
	b, err := vfs.ReadFile(fsys, name, identitySize)
	if err != nil {
		return identity{}, err
	}
	v, err := parseIdentity(b)
	if err != nil {
		return identity{}, &DamageError{Path: name, Reason: err.Error()}
	}
	if v.id != id {
		return identity{}, &DamageError{Path: name, Reason: fmt.Sprintf("it belongs to log %v", v.id)}
	}
	return v, nil
}
