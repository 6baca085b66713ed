package sessions

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/commitlog"
	"github.com/weirmq/weir/internal/nsqtcp"
	"github.com/weirmq/weir/internal/replica"
	"github.com/weirmq/weir/internal/testkit/history"
	"github.com/weirmq/weir/internal/vfs"
)

const (
	dataDir     = "/data"
	maxMsgSize  = 2000
	maxBodySize = 8000
	msgTimeout  = 700 * time.Millisecond
	maxDelay    = 5 * time.Second // max-req-timeout
	maxReady    = 50
	// maxSteps bounds a story, whatever the script.
	maxSteps = 400
	// batchSize is how many messages each MPUB of a story has.
	batchSize = 3
)

// Publishers in the history: MPUBs have one of their own, so that their size is known.
const (
	single = 1
	multi  = 2
)

// story is one script: a broker, clients, and the model of what they know.
type story struct {
	t      *testing.T
	script script
	totals *totals

	disk   *vfs.Mem
	store  *commitlog.Store
	logs   *replica.Logs
	broker *broker.Broker
	server *nsqtcp.Server
	doors  *pipes
	served chan error

	clients [5]*client
	crowded bool // more than one client acts in this step

	mu     sync.Mutex // the model: clients' readers and the story's steps change it
	topics []*topic
	faults []string
}

// topic is a topic with the history of its messages.
type topic struct {
	name     string
	rec      *history.Recorder
	next     [3]uint32 // sequence, by publisher
	channels []*channel
}

// channels that exist before the first message, so that they must have all of them.
var channels = map[string][]string{"t": {"a", "b"}, "u": {"a"}}

func newStory(t *testing.T, s script, totals *totals) *story {
	st := &story{t: t, script: s, totals: totals, disk: vfs.NewMem(1)}
	for i, name := range []string{"t", "u"} {
		tp := &topic{name: name, rec: history.NewRecorder(uint32(i + 1))}
		for _, ch := range channels[name] {
			tp.channels = append(tp.channels, newChannel(tp, ch))
		}
		st.topics = append(st.topics, tp)
	}
	return st
}

func (s *story) run() {
	s.open()
	for steps := 0; len(s.script) > 0 && steps < maxSteps && len(s.faults) == 0; steps++ {
		s.step()
	}
	for i := range s.clients {
		s.leave(i)
	}
	s.settle()
	if len(s.faults) > 0 {
		s.judge()
		s.close()
		return
	}
	s.drain()
	for _, tp := range s.topics {
		tp.rec.Stopped()
	}
	s.close()
	s.open()
	s.drain() // after a clean stop nothing comes again
	s.close()
	s.judge()
}

// open starts the broker and its door, and makes the channels.
func (s *story) open() {
	store, err := commitlog.OpenStore(commitlog.Options{
		FS: s.disk, Dir: dataDir, Logger: slog.New(slog.DiscardHandler), MinSegmentBytes: 16 << 10, MaxSegmentBytes: 32 << 10, CacheBytes: 64 << 10,
	})
	s.must(err)
	s.store = store
	s.logs = replica.NewLogs(store, replica.Options{FS: s.disk, Dir: dataDir, ReserveBytes: 1})
	s.broker, err = broker.Open(s.logs, broker.Options{Retain: -1, KeepInterval: 30 * time.Millisecond})
	s.must(err)
	for name, list := range channels {
		tp, err := s.broker.CreateTopic(s.t.Context(), name)
		s.must(err)
		for _, ch := range list {
			_, err := tp.CreateChannel(s.t.Context(), ch)
			s.must(err)
		}
	}
	s.server, err = nsqtcp.New(s.broker, nsqtcp.Options{
		MaxMsgSize: maxMsgSize, MaxBodySize: maxBodySize, MsgTimeout: msgTimeout, MaxReqTimeout: maxDelay, MaxRdyCount: maxReady,
	})
	s.must(err)
	s.doors, s.served = &pipes{connC: make(chan net.Conn), closedC: make(chan struct{})}, make(chan error, 1)
	go func() { s.served <- s.server.Serve(s.doors) }()
}

func (s *story) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	s.must(s.server.Shutdown(ctx))
	if err := <-s.served; !errors.Is(err, nsqtcp.ErrServerClosed) {
		s.t.Errorf("serve: %v", err)
	}
	s.must(s.broker.Close(ctx))
	s.logs.Close()
	s.must(s.store.Close())
	synctest.Wait()
}

func (s *story) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// fault notes a breach; the caller holds the mutex.
func (s *story) fault(format string, args ...any) {
	if len(s.faults) < 10 {
		s.faults = append(s.faults, fmt.Sprintf(format, args...))
	}
}

// step lets one client or several do a few things, waits until all is done, and then perhaps a while.
func (s *story) step() {
	first, n := s.script.take(len(s.clients)), 1
	if s.script.take(3) == 0 {
		n = 2 + s.script.take(len(s.clients)-1)
	}
	s.crowded = n > 1
	for i := range n {
		s.act((first + i) % len(s.clients))
	}
	s.settle()
	if d := s.script.take(16); d > 8 {
		time.Sleep(time.Duration(d-8) * 100 * time.Millisecond)
		s.settle()
	}
}

// settle waits until nothing moves any more, and looks whether everything was answered.
func (s *story) settle() {
	synctest.Wait()
	s.mu.Lock()
	var beating []*client
	for i, c := range s.clients {
		if c == nil {
			continue
		}
		c.settled()
		switch {
		case c.ended:
			s.clients[i] = nil
		case c.beats > 0:
			beating, c.beats = append(beating, c), 0
		}
	}
	s.mu.Unlock()
	for _, c := range beating {
		c.write([]byte("NOP\n"))
	}
}

// drain consumes and finishes everything on every channel.
func (s *story) drain() {
	var all []*client
	for _, tp := range s.topics {
		for _, ch := range tp.channels {
			c := s.connect()
			c.finishes = true
			c.perform(command{text: []byte("SUB " + tp.name + " " + ch.name + "\n"), answer: "OK", sub: ch})
			c.perform(command{text: []byte("RDY 50\n"), ready: 50})
			all = append(all, c)
		}
	}
	for range 8 {
		time.Sleep(time.Second)
		synctest.Wait()
	}
	for _, tp := range s.broker.Stats("", "", false) {
		for _, ch := range tp.Channels {
			if ch.Depth+ch.InFlight+ch.Deferred != 0 {
				s.t.Errorf("drained, %s/%s has depth %d, in flight %d, deferred %d", tp.Name, ch.Name, ch.Depth, ch.InFlight, ch.Deferred)
			}
		}
	}
	for _, c := range all {
		c.hangUp()
	}
	synctest.Wait()
}

// judge tells what was found on the way; if that was nothing, it has the history checked.
func (s *story) judge() {
	for _, fault := range s.faults {
		s.t.Error(fault)
	}
	if len(s.faults) > 0 {
		return
	}
	for _, tp := range s.topics {
		report := history.Check(tp.rec.History(), history.Rules{
			Channels: channels[tp.name], Drained: true, FinishWindow: time.Millisecond, EarlyTolerance: time.Millisecond, BatchSizes: map[uint32]int{multi: batchSize},
		})
		s.totals.Judged.Add(faultreportOf(report, s.totals))
		if err := report.Err(); err != nil {
			s.t.Errorf("topic %s: %v", tp.name, err)
		}
	}
}

// pipes is a listener whose connections are pipes in memory.
type pipes struct {
	connC   chan net.Conn
	closedC chan struct{}
	once    sync.Once
}

// Accept implements net.Listener.
func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.connC:
		return c, nil
	case <-p.closedC:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closedC) })
	return nil
}

// Addr implements net.Listener.
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// dial makes a connection.
func (p *pipes) dial() net.Conn {
	ours, theirs := net.Pipe()
	p.connC <- theirs
	return ours
}
