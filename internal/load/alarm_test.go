package load_test

import (
	"bytes"
	"net"
	"testing"
	"time"

	"github.com/weirmq/weir/internal/load"
)

func TestAnAlarmIsNeverEarly(t *testing.T) {
	alarm, err := load.NewAlarm()
	if err != nil {
		t.Fatal(err)
	}
	defer alarm.Close()
	for _, d := range []time.Duration{-time.Second, 0, 1, 300 * time.Microsecond, 5 * time.Millisecond} {
		for range 3 { // what rang before is forgotten
			began := time.Now()
			if err := alarm.Sleep(d); err != nil || time.Since(began) < d {
				t.Fatalf("slept %v for %v, %v", time.Since(began), d, err)
			}
		}
	}
}

func TestAPacedLoadDoesNotWaitForAnswers(t *testing.T) {
	addr := server(t, func(socket net.Conn, buf []byte) { // answers every publish at the end
		for owed := 0; owed < 50; {
			n, err := socket.Read(buf)
			if err != nil {
				return
			}
			owed += bytes.Count(buf[:n], []byte("PUB "))
		}
		socket.Write(bytes.Repeat([]byte(answer), 50))
		socket.Read(buf)
	})
	l := load.Default()
	l.Rate, l.Messages, l.Duration = 1000, 50, 10*time.Second
	result, err := load.Run(t.Context(), load.Target{TCP: addr}, l, nil)
	if err != nil || result.Err() != nil || result.Published != 50 {
		t.Fatal(err, result)
	}
}
