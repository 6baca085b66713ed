package load

import (
	"bytes"
	"context"
	"net"
	"sync"
	"time"

	"github.com/weirmq/weir/internal/nsqwire"
)

// Null is a server that answers every command and does nothing: what a load reaches here is the most that any broker could on
// this machine with this generator. It has no messages to deliver.
func Null(ctx context.Context, listener net.Listener) error {
	stop := context.AfterFunc(ctx, func() { listener.Close() })
	defer stop()
	var sessions sync.WaitGroup
	defer sessions.Wait()
	for {
		socket, err := listener.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		sessions.Go(func() {
			defer context.AfterFunc(ctx, func() { socket.Close() })()
			defer socket.Close()
			answerAll(socket)
		})
	}
}

// answerAll reads commands and answers OK, until the connection or its sense ends.
func answerAll(socket net.Conn) {
	limits := nsqwire.Limits{MaxMsgSize: maxCommand, MaxBodySize: maxFrame, MaxRdyCount: 1 << 20, MaxReqTimeout: time.Hour}
	buf, out := make([]byte, 64<<10), []byte(nil)
	start, end, need := 0, 0, len(nsqwire.Magic)
	magic := false
	for {
		copy(buf, buf[start:end])
		start, end = 0, end-start
		if need > len(buf) {
			buf = append(make([]byte, 0, 2*need), buf[:end]...)[:2*need]
		}
		n, err := socket.Read(buf[end:])
		if err != nil {
			return
		}
		end, out = end+n, out[:0]
		if !magic && end >= len(nsqwire.Magic) {
			magic, start = bytes.HasPrefix(buf, []byte(nsqwire.Magic)), len(nsqwire.Magic)
		}
		for magic && start < end {
			var command nsqwire.Command
			n, want, err := nsqwire.Parse(buf[start:end], &limits, &command)
			if err != nil {
				return
			}
			if n == 0 {
				need = want
				break
			}
			start += n
			switch command.Verb {
			case nsqwire.RDY, nsqwire.FIN, nsqwire.NOP:
			case nsqwire.CLS:
				out = nsqwire.AppendResponse(out, nsqwire.CloseWait)
			default:
				out = nsqwire.AppendResponse(out, nsqwire.OK)
			}
		}
		if _, err := socket.Write(out); err != nil {
			return
		}
	}
}
