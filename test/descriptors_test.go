//go:build process

package test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/testkit/faultreport"
	"github.com/weirmq/weir/internal/testkit/history"
	"github.com/weirmq/weir/internal/testkit/proc"
	"github.com/weirmq/weir/internal/testkit/rawnsq"
)

// TestDescriptorsThatRunOutAreNotFatal gives a node few descriptors. More connections than fit are refused, which costs neither the other door nor
// the logs theirs; then topics take all there are: the node does not spin, fails no log for good, and goes on when some are free.
func TestDescriptorsThatRunOutAreNotFatal(t *testing.T) {
	for _, limit := range []int{64, 256} {
		t.Run(fmt.Sprintf("limit %d", limit), func(t *testing.T) {
			t.Parallel()
			b := newBroker(t)
			b.Binary = "/bin/sh"
			b.Command = []string{"-c", fmt.Sprintf(`ulimit -n %d; exec "$@"`, limit), "sh", weirBinary, "serve", "--discovery-tcp-address", "", "--admin-address", ""}
			start(t, b)
			post(t, b, "/topic/create?topic=orders", nil)
			post(t, b, "/channel/create?topic=orders&channel=work", nil)
			rec := history.NewRecorder(1)
			connected := newSteadyPublisher(t, b, rec) // a client that is there already is served all the time
			connected.publish(100)

			var conns []net.Conn
			for range 2 * limit {
				c, err := net.DialTimeout("tcp", b.TCP(), time.Second)
				must(t, err)
				conns = append(conns, c)
				defer c.Close()
			}
			eventually(t, 5*time.Second, "the node refuses connections", func() bool {
				return strings.Contains(b.Log(), "refusing connections")
			})
			if n := strings.Count(b.Log(), "fewer connections than configured"); n != 1 {
				t.Errorf("%d lines say that the limit of open files is too low for the connections", n)
			}
			if open, err := b.Process().Descriptors(); err != nil || open > int64(limit-limit/4) {
				t.Errorf("%d of %d descriptors are taken by what can be refused (%v)", open, limit, err)
			}
			must(t, b.Ping())
			before, err := b.Process().CPUTime()
			must(t, err)
			time.Sleep(time.Second)
			after, err := b.Process().CPUTime()
			must(t, err)
			if spent := after - before; spent > 200*time.Millisecond {
				t.Errorf("without descriptors the node computes %v in a second", spent)
			}
			connected.publish(500) // which begins another segment
			for _, c := range conns {
				c.Close()
			}
			eventually(t, 5*time.Second, "new clients are served again", func() bool { return b.Ping() == nil })

			made := 0
			for i := range limit { // a topic holds a descriptor while it is written to
				c, err := rawnsq.NewPublisher(b.TCP(), 1, func(_ uint64, err error) {
					if err == nil {
						made++
					}
				})
				if err == nil {
					_ = c.Publish(0, rawnsq.AppendPub(nil, fmt.Sprintf("topic_%d", i), []byte("x")))
					_ = c.Wait()
					c.Close()
				}
			}
			connected.publish(100)
			connected.close()
			rec.Killed()
			must(t, b.Kill())
			b.Binary, b.Command = weirBinary, nil
			start(t, b)
			consumers := newConsumers(b.TCP(), "orders", rec)
			consumers.add("work", 1, 0, 0)
			consumers.waitIdle(time.Now(), time.Second)
			consumers.close()
			report := history.Check(rec.History(), history.Rules{Channels: []string{"work"}, Drained: true, FinishWindow: 300 * time.Millisecond})
			if err := report.Err(); err != nil {
				t.Error(err)
			}
			row := faultreport.Judged("no descriptors left", 2*limit, report)
			row.Note = fmt.Sprintf("limit %d: %d connections at a time, then %d of %d topics were made", limit, 2*limit, made, limit)
			faultreport.Write(t, row)
			if made == limit && limit == 64 {
				t.Errorf("%d topics were written with %d descriptors: the limit was not met", made, limit)
			}
		})
	}
}

// steadyPublisher is a client that stays connected, and whose messages must all be answered OK.
type steadyPublisher struct {
	t    *testing.T
	rec  *history.Recorder
	conn *rawnsq.Publisher
	next uint32
}

func newSteadyPublisher(t *testing.T, b *proc.Broker, rec *history.Recorder) *steadyPublisher {
	t.Helper()
	p := &steadyPublisher{t: t, rec: rec}
	var err error
	p.conn, err = rawnsq.NewPublisher(b.TCP(), 10, func(tag uint64, err error) {
		if err != nil {
			t.Errorf("message %d: %v", tag, err)
			rec.Unknown(history.Key{Seq: uint32(tag)})
			return
		}
		rec.Answered(history.Key{Seq: uint32(tag)})
	})
	must(t, err)
	return p
}

func (p *steadyPublisher) publish(messages int) {
	p.t.Helper()
	for range messages {
		k := history.Key{Seq: p.next}
		p.next++
		p.rec.Sent(k, 0)
		must(p.t, p.conn.Publish(uint64(k.Seq), rawnsq.AppendPub(nil, "orders", p.rec.Body(k, 5000))))
	}
	must(p.t, p.conn.Wait())
}

func (p *steadyPublisher) close() { p.conn.Close() }
