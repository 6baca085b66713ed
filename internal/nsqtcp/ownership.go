package nsqtcp

import "sync/atomic"

// ownership says who may use a session's output: nobody, the writing goroutine, or a committing goroutine that sends the
// answers of a batch itself, which spares a switch of goroutines. It never blocks, and no request for attention is lost:
// whoever finds the output taken leaves a mark that the owner sees before it lets go.
type ownership struct {
	marks  atomic.Int64 // 0 = free; else the owner's and those left since it looked last
	handed atomic.Bool  // the owner is the writing goroutine, which does not know it yet
}

// take makes the caller the owner, or leaves a mark for the owner.
func (o *ownership) take() bool { return o.marks.Add(1) == 1 }

// seen returns the marks so far. The owner calls it before it looks for work, for release.
func (o *ownership) seen() int64 { return o.marks.Load() }

// release ends the ownership unless marks were left after seen: then the owner must look for work again.
func (o *ownership) release(seen int64) bool { return o.marks.CompareAndSwap(seen, 0) }

// hand gives the ownership to the writing goroutine, which the caller must wake.
func (o *ownership) hand() { o.handed.Store(true) }

// accept makes the writing goroutine the owner if the output was handed to it, or is free; else it leaves a mark.
func (o *ownership) accept() bool { return o.handed.Swap(false) || o.take() }
