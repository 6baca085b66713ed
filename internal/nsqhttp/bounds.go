package nsqhttp

import (
	"io"
	"net/http"
	"sync/atomic"

	"github.com/weirmq/weir/internal/httpdoor"
)

// firstBodyBytes is the most that a body gets before any of it has arrived.
const firstBodyBytes = 4 << 10

// bodies bounds the bytes of all request bodies that are held at a time. What is above the bound is refused at once: to wait for
// others' bodies would let clients that send slowly stop those that do not.
type bodies struct {
	limit int64
	used  atomic.Int64
}

// body is one request's body. Release it when nothing refers to its bytes any more.
type body struct {
	bytes   []byte
	counted int64 // of the bound; at least the capacity of bytes
	from    *bodies
}

// errOverloaded is the answer when too many bodies are held already.
var errOverloaded = httpdoor.NewError(http.StatusServiceUnavailable, "OVERLOADED")

// read reads at most limit bytes; more are refused with tooBig. Memory is taken as the bytes arrive, whatever the client announced.
func (b *bodies) read(r *http.Request, limit int, tooBig *httpdoor.Error) (*body, error) {
	if r.ContentLength > int64(limit) {
		return nil, tooBig
	}
	in := &body{from: b}
	first := firstBodyBytes
	if r.ContentLength >= 0 {
		first = min(first, int(r.ContentLength)+1) // room to see the end
	}
	for {
		if len(in.bytes) == cap(in.bytes) && !in.grow(max(2*cap(in.bytes), first), limit+1) {
			in.release()
			return nil, errOverloaded
		}
		n, err := r.Body.Read(in.bytes[len(in.bytes):cap(in.bytes)])
		in.bytes = in.bytes[:len(in.bytes)+n]
		switch {
		case len(in.bytes) > limit:
			in.release()
			return nil, tooBig
		case err == io.EOF:
			return in, nil
		case err != nil: // the client broke off
			in.release()
			return nil, httpdoor.NewError(http.StatusBadRequest, "INVALID_REQUEST")
		}
	}
}

// grow makes the capacity size, at most most bytes; it reports false if the bound does not allow it.
func (in *body) grow(size, most int) bool {
	size = min(size, most)
	more := int64(size - cap(in.bytes))
	if in.from.used.Add(more) > in.from.limit {
		in.from.used.Add(-more)
		return false
	}
	in.counted += more
	grown := make([]byte, len(in.bytes), size)
	copy(grown, in.bytes)
	in.bytes = grown
	return true
}

// release gives the memory back to the bound. A second release does nothing.
func (in *body) release() {
	in.from.used.Add(-in.counted)
	in.bytes, in.counted = nil, 0
}

// handOver empties the body and returns one without bytes that counts in its place, for what was made of them.
func (in *body) handOver() body {
	out := body{counted: in.counted, from: in.from}
	in.bytes, in.counted = nil, 0
	return out
}
