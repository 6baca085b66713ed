package tonsq

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nsqio/go-nsq"

	"github.com/weirmq/weir/internal/tools/publish"
)

// Pauses between tries to reach an nsqd again.
const (
	firstPause   = 50 * time.Millisecond
	longestPause = 2 * time.Second
)

// errLost is what became of records under way when a connection broke.
var errLost = errors.New("connection lost")

// destination publishes to one nsqd. All fields belong to the goroutine in run; the others only send to recordC.
type destination struct {
	o       *Options
	recordC chan []byte

	conn     *publish.Connection // nil while there is none
	sent     [][]byte            // published over conn, not yet answered, in order
	again    [][]byte            // to be published over the next connection
	pause    time.Duration
	resumeAt time.Time // when to connect again
	progress time.Time // when an answer came last, or waiting began
	totals   DestinationTotals
}

func newDestination(address string, o *Options) *destination {
	return &destination{
		o: o, recordC: make(chan []byte, 64), pause: firstPause,
		totals: DestinationTotals{Address: address},
	}
}

// run publishes until recordC is closed and everything is answered, or the nsqd is given up.
func (d *destination) run() {
	d.progress = time.Now()
	recordC := d.recordC
	check := time.NewTicker(firstPause)
	defer check.Stop()
	defer d.disconnect()
	for recordC != nil || d.waiting() {
		d.republish()
		takeC := recordC
		if len(d.again) > 0 || len(d.sent) == d.o.Window {
			takeC = nil
		}
		var answerC <-chan error
		var closedC <-chan struct{}
		if d.conn != nil {
			answerC, closedC = d.conn.AnswerC, d.conn.ClosedC
		}
		select {
		case record, ok := <-takeC:
			if !ok {
				recordC = nil
				continue
			}
			d.publish(record)
		case err := <-answerC:
			d.answered(err)
		case <-closedC:
			d.lost()
		case <-check.C:
		}
		if d.waiting() && time.Since(d.progress) > d.o.GiveUp {
			d.abandon()
			return
		}
	}
}

// waiting reports whether anything is not yet acknowledged.
func (d *destination) waiting() bool { return len(d.sent) > 0 || len(d.again) > 0 }

// republish publishes what could not be sent or lost its connection, unless the pause still lasts.
func (d *destination) republish() {
	again := d.again
	if len(again) == 0 || d.conn == nil && time.Now().Before(d.resumeAt) {
		return
	}
	d.again = nil
	for i, record := range again {
		if d.publish(record); len(d.again) > 0 {
			d.again = append(d.again, again[i+1:]...)
			return
		}
	}
}

// publish sends one record, connecting if need be; what cannot be sent waits in again.
func (d *destination) publish(record []byte) {
	if !d.waiting() {
		d.progress = time.Now()
	}
	if d.conn == nil {
		conn, err := publish.Connect(d.totals.Address, d.o.Config, d.o.Window, d.o.Logger)
		if err != nil {
			d.again = append(d.again, record)
			d.backOff(err)
			return
		}
		d.conn = conn
	}
	if len(d.sent) == d.o.Window {
		d.again = append(d.again, record)
		return
	}
	d.sent = append(d.sent, record)
	if err := d.conn.Publish(d.o.Topic, record); err != nil {
		d.note(err) // closedC follows, and lost with it
	}
}

// answered accounts for the answer to the oldest record under way.
func (d *destination) answered(err error) {
	if len(d.sent) == 0 {
		return // an error frame nobody asked for; the connection's end follows
	}
	record := d.sent[0]
	d.sent = d.sent[1:]
	switch {
	case err == nil:
		d.totals.Acknowledged++
		d.o.Meter.Count(record)
		d.progress, d.pause = time.Now(), firstPause
	case isFinal(err):
		d.totals.Refused++
		d.totals.LastError = err
		d.progress = time.Now()
		d.o.Logger.Error("record refused", "nsqd", d.totals.Address, "bytes", len(record), "error", err)
	default:
		d.again = append(d.again, record)
		d.backOff(err)
	}
}

// lost ends a broken connection: the answers that still came count, the rest is published again.
func (d *destination) lost() {
	for more := true; more; {
		select {
		case err := <-d.conn.AnswerC:
			d.answered(err)
		default:
			more = false
		}
	}
	d.conn = nil
	d.totals.Repeated += int64(len(d.sent))
	d.again = append(d.again, d.sent...)
	d.sent = nil
	if len(d.again) > 0 {
		d.backOff(errLost)
	}
}

// backOff sets the time of the next try; the pause doubles with each failure in a row.
func (d *destination) backOff(err error) {
	if !errors.Is(err, errLost) || d.totals.LastError == nil {
		d.note(err)
	}
	if time.Now().Before(d.resumeAt) {
		return
	}
	d.o.Logger.Warn("nsqd did not take a record, trying again", "nsqd", d.totals.Address, "in", d.pause, "error", err)
	d.resumeAt = time.Now().Add(d.pause)
	d.pause = min(2*d.pause, longestPause)
}

// note keeps an error for the totals. A refusal stays: the trouble with the connection that follows it says less.
func (d *destination) note(err error) {
	if d.totals.Refused == 0 {
		d.totals.LastError = err
	}
}

// disconnect closes the connection if there is one, and waits for its end.
func (d *destination) disconnect() {
	if d.conn != nil {
		d.conn.Close()
		d.conn = nil
	}
}

// abandon gives the nsqd up: everything outstanding and all that still comes counts as unanswered.
func (d *destination) abandon() {
	if d.totals.LastError == nil {
		d.totals.LastError = errors.New("no answer")
	}
	d.totals.LastError = fmt.Errorf("given up after %s without an answer: %w", d.o.GiveUp, d.totals.LastError)
	d.o.Logger.Error("nsqd given up", "nsqd", d.totals.Address, "error", d.totals.LastError)
	d.totals.Unanswered += int64(len(d.sent) + len(d.again))
	for range d.recordC {
		d.totals.Unanswered++
	}
}

// isFinal reports whether an nsqd's error would come again for the same record.
func isFinal(err error) bool {
	var protocol nsq.ErrProtocol
	if !errors.As(err, &protocol) {
		return false
	}
	code, _, _ := strings.Cut(protocol.Reason, " ")
	switch code {
	case "E_BAD_TOPIC", "E_BAD_MESSAGE", "E_BAD_BODY", "E_INVALID", "E_UNAUTHORIZED", "E_AUTH_FIRST", "E_AUTH_FAILED":
		return true
	}
	return false
}
