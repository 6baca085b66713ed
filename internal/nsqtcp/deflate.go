package nsqtcp

import (
	"bufio"
	"io"

	"github.com/klauspost/compress/flate"
)

// smallWrite is up to where a Write is not worth a compressor of one's own: heartbeats and single answers, in bytes.
const smallWrite = 64

// deflateWriter compresses, and ends each Write with a sync flush, so that nothing is ever held back.
//
// A compressor is some hundred KiB to a MiB large. A session has one while it sends messages, so that they are compressed with
// those before them in view, and gives it back when it is quiet. Any compressor may go on where another has flushed: it refers
// to its own input only, which is the end of what the client has received.
type deflateWriter struct {
	to    gather
	level int
	pools *pools
	held  *flate.Writer // nil = none
}

// Write implements io.Writer.
func (d *deflateWriter) Write(p []byte) (int, error) {
	d.to.out = d.pools.scratch()
	defer d.pools.keep(d.to.out)
	z := d.held
	if z == nil {
		z = d.pools.deflater(d.level)
		z.Reset(&d.to)
		if len(p) > smallWrite {
			d.held = z
		} else {
			defer d.pools.keepDeflater(d.level, z)
		}
	}
	if _, err := z.Write(p); err != nil {
		return 0, err
	}
	if err := z.Flush(); err != nil {
		return 0, err
	}
	return len(p), d.to.flush()
}

// release gives back what a quiet session has no need of.
func (d *deflateWriter) release() {
	if d.held != nil {
		d.pools.keepDeflater(d.level, d.held)
		d.held = nil
	}
}

// gather makes few large writes of many small ones.
type gather struct {
	to  io.Writer
	out *scratch
}

// Write implements io.Writer.
func (g *gather) Write(p []byte) (int, error) {
	g.out.bytes = append(g.out.bytes, p...)
	if len(g.out.bytes) < flushSize {
		return len(p), nil
	}
	return len(p), g.flush()
}

func (g *gather) flush() error {
	_, err := g.to.Write(g.out.bytes)
	g.out.bytes = g.out.bytes[:0]
	return err
}

// newDeflateReader decompresses from r. It hands over at most what is asked for, and keeps a window of 32 KiB, whatever the
// input decompresses to.
func newDeflateReader(r io.Reader) io.Reader {
	return flate.NewReader(bufio.NewReaderSize(r, minInputSize))
}

// deflater returns a compressor; Reset it.
func (p *pools) deflater(level int) *flate.Writer {
	if z, ok := p.deflaters[level].Get().(*flate.Writer); ok {
		return z
	}
	z, err := flate.NewWriter(nil, level)
	if err != nil {
		panic(err) // levels are checked at IDENTIFY
	}
	return z
}

func (p *pools) keepDeflater(level int, z *flate.Writer) {
	z.Reset(nil) // it must not hold on to the session
	p.deflaters[level].Put(z)
}
