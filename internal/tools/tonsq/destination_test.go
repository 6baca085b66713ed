package tonsq

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/nsqio/go-nsq"
)

func TestARefusalIsReportedAlthoughTheConnectionBreaksNext(t *testing.T) {
	o := DefaultOptions()
	o.Logger = slog.New(slog.DiscardHandler)
	d := newDestination("127.0.0.1:1", &o)
	d.sent = [][]byte{[]byte("too big")}
	d.answered(nsq.ErrProtocol{Reason: "E_BAD_MESSAGE PUB message too big"})
	d.backOff(errors.New("write: broken pipe"))
	if err := d.totals.LastError; err == nil || !strings.Contains(err.Error(), "E_BAD_MESSAGE") {
		t.Errorf("got %v", err)
	}
}
