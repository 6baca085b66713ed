package member

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/weirmq/weir/internal/catalog"
	"github.com/weirmq/weir/internal/vfs"
)

// fileName is the name of the file in the data directory.
const fileName = "cluster"

// bootIDFile names the machine's run: another one after each boot.
const bootIDFile = "/proc/sys/kernel/random/boot_id"

// Record is the node's file, open for this process. All methods may be called from any goroutine; what they change is durable on
// return. After an error the file holds the old or the new, and the node should stop.
type Record struct {
	fs    vfs.FS
	name  string
	nonce uint64
	// lostUnsynced is the answer of LostUnsynced.
	lostUnsynced bool

	turn chan struct{} // holds one token: who has it may write
	mu   struct {
		sync.Mutex
		content content // never changed in place: its map and slice are shared
	}
}

// Exists reports whether a directory belongs to a node of a cluster, or to one that was about to be.
func Exists(fsys vfs.FS, dir string) (bool, error) {
	_, err := fsys.Stat(path.Join(dir, fileName))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// BootID returns the machine's boot id, "" where there is none.
func BootID() string {
	b, err := os.ReadFile(bootIDFile)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// Open reads the file of the data directory, which must exist and be locked by the caller, and begins a new life: it is durable
// on return. A missing file is a node that belongs to no cluster. The boot id is BootID's.
func Open(fsys vfs.FS, dir, bootID string) (*Record, error) {
	r := &Record{fs: fsys, name: path.Join(dir, fileName), turn: make(chan struct{}, 1)}
	r.turn <- struct{}{}
	var nonce [8]byte
	_, _ = rand.Read(nonce[:]) // never fails
	r.nonce = binary.BigEndian.Uint64(nonce[:])
	old := &content{clean: true}
	b, err := vfs.ReadFile(fsys, r.name, maxFileBytes)
	if err == nil {
		old, err = decode(b)
	} else if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read, so this node does not know who it is: %w. Do not put back an older copy, which has "+
			"forgotten; if the file is damaged, delete the data directory and have the node replaced", r.name, err)
	}
	boot := parseBootID(bootID)
	r.lostUnsynced = !old.clean && (boot == [16]byte{} || boot != old.bootID)
	r.mu.content = *old
	if old.life == 1<<32-1 {
		return nil, fmt.Errorf("%s: no life is left", r.name)
	}
	return r, r.change(func(c *content) error {
		c.life++
		c.bootID, c.clean = boot, false
		c.nonces = append(slices.Clone(c.nonces), r.nonce)
		c.nonces = c.nonces[max(0, len(c.nonces)-maxNonces):]
		return nil
	})
}

func parseBootID(text string) (id [16]byte) {
	b, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
	if err == nil && len(b) == len(id) {
		copy(id[:], b)
	}
	return id
}

// change applies fn to a copy of the content and writes it. Nothing is written if fn fails.
func (r *Record) change(fn func(*content) error) error {
	<-r.turn
	defer func() { r.turn <- struct{}{} }()
	next := r.content()
	if err := fn(&next); err != nil {
		return err
	}
	if err := vfs.ReplaceFile(r.fs, r.name, [][]byte{next.encode()}); err != nil {
		return fmt.Errorf("write %s: %w", r.name, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.content = next
	return nil
}

func (r *Record) content() content {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mu.content
}

// Identity returns who this node is, once its cluster is formed.
func (r *Record) Identity() (Identity, bool) {
	c := r.content()
	if c.state != stateFormed {
		return Identity{}, false
	}
	return c.identity, true
}

// Life returns the life of this process.
func (r *Record) Life() Life { return Life{Number: r.content().life, Nonce: r.nonce} }

// Remembers reports whether a life is one of this node's, as far as its file tells: a disk that is an older copy does not
// remember the lives since, also if it has been started as often again. Of lives before the last 1,024 only the number counts.
func (r *Record) Remembers(life Life) bool {
	c := r.content()
	if life.Number > c.life {
		return false
	}
	i := len(c.nonces) - 1 - int(c.life-life.Number)
	return i < 0 || c.nonces[i] == life.Nonce
}

// Lives returns the highest lives seen of other nodes. The map is not to be changed.
func (r *Record) Lives() map[catalog.NodeID]Life { return r.content().lives }

// SeeLife records a higher life of another node.
func (r *Record) SeeLife(node catalog.NodeID, life Life) error {
	return r.change(func(c *content) error {
		c.lives = maps.Clone(c.lives)
		if c.lives == nil {
			c.lives = make(map[catalog.NodeID]Life)
		}
		if _, ok := c.lives[node]; !ok && len(c.lives) >= maxMembers {
			return fmt.Errorf("more than %d nodes were seen", maxMembers)
		}
		c.lives[node] = life
		return nil
	})
}

// LostUnsynced reports that the machine was started anew after an end of the node that was not clean: what was not synced
// then may be lost. Where machines have no boot id, every unclean end counts.
func (r *Record) LostUnsynced() bool { return r.lostUnsynced }

// Stopped records that everything of this process is synced. It is the last thing that a node does.
func (r *Record) Stopped() error {
	return r.change(func(c *content) error {
		c.clean = true
		return nil
	})
}

// promise binds the node to an identity, before it is formed.
func (r *Record) promise(v Identity, list uint64) error {
	if err := v.validate(); err != nil {
		return err
	}
	return r.change(func(c *content) error {
		if c.state != stateNone && c.identity.ClusterID != v.ClusterID {
			return fmt.Errorf("promised to cluster %016x already", c.identity.ClusterID)
		}
		if c.state == stateNone {
			c.state, c.identity, c.list = statePromised, v, list
		}
		return nil
	})
}

// form makes the promise final.
func (r *Record) form() error {
	return r.change(func(c *content) error {
		if c.state == stateNone {
			return errors.New("nothing was promised")
		}
		c.state = stateFormed
		return nil
	})
}
