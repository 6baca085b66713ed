package history

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// script builds a history from lines of the form "ms what key [channel] [number]", the way one would tell it.
func script(t *testing.T, text string) *History {
	t.Helper()
	h := &History{}
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		var ms, n int64
		var e Event
		kind, ok := map[string]Kind{"sent": Sent, "ok": Answered, "refused": Refused, "unknown": Unknown, "got": Delivered,
			"foreign": Foreign, "fin": Finished, "finfailed": FinishFailed, "recorded": FinishRecorded, "req": Requeued,
			"reqfailed": RequeueFailed, "lost": Disconnected, "kill": Killed, "stop": Stopped}[f[1]]
		if _, err := fmt.Sscan(f[0], &ms); err != nil || !ok {
			t.Fatalf("line %q: %v", line, err)
		}
		e.Kind, e.At = kind, ms*1e6
		rest := f[2:]
		if kind.ofMessage() {
			if _, err := fmt.Sscanf(rest[0], "%d/%d", &e.Key.Publisher, &e.Key.Seq); err != nil {
				t.Fatalf("line %q: %v", line, err)
			}
			rest = rest[1:]
		}
		if kind.ofChannel() {
			e.Channel = h.channel(rest[0])
			rest = rest[1:]
		}
		if kind == Delivered {
			n = 1
		}
		if len(rest) > 0 {
			if _, err := fmt.Sscan(rest[0], &n); err != nil {
				t.Fatalf("line %q: %v", line, err)
			}
		}
		switch kind {
		case Delivered:
			e.Attempts = uint16(n)
		case Sent, Requeued:
			if n > 0 {
				e.Due = n * 1e6
			}
		}
		h.Events = append(h.Events, e)
	}
	return h
}

var strict = Rules{
	Channels: []string{"c"}, Drained: true, Ordered: []string{"c"},
	FinishWindow: 150 * time.Millisecond, StopMargin: 20 * time.Millisecond, EarlyTolerance: time.Millisecond,
	BatchSizes: map[uint32]int{9: 2},
}

func TestCheckFindsEachFault(t *testing.T) {
	for _, test := range []struct {
		name, story string
		want        Fault
	}{
		{"acknowledged and never delivered", `
			1 sent 1/0
			2 ok 1/0`, Lost},
		{"delivered, dropped at a kill, and not again", `
			1 sent 1/0
			2 ok 1/0
			3 got 1/0 c
			5 kill`, Lost},
		{"requeued and not again", `
			1 sent 1/0
			2 ok 1/0
			3 got 1/0 c
			4 req 1/0 c 10`, Lost},
		{"finish refused and not again", `
			1 sent 1/0
			2 ok 1/0
			3 got 1/0 c
			4 fin 1/0 c
			5 finfailed 1/0 c`, Lost},
		{"only another channel got it", `
			1 sent 1/0
			2 ok 1/0
			3 got 1/0 d
			4 fin 1/0 d`, Lost},
		{"delivered and never sent", `
			3 got 1/0 c
			4 fin 1/0 c`, Phantom},
		{"delivered though refused", `
			1 sent 1/0
			2 refused 1/0
			3 got 1/0 c
			4 fin 1/0 c`, Phantom},
		{"damaged body", `3 foreign c`, Phantom},
		{"again without a restart", `
			1 sent 1/0
			2 ok 1/0
			3 got 1/0 c
			4 fin 1/0 c
			9 got 1/0 c 2`, DeliveredAgain},
		{"again after a kill long after the finish", `
			1 sent 1/0
			2 ok 1/0
			3 got 1/0 c
			4 fin 1/0 c
			155 kill
			300 got 1/0 c 1`, DeliveredAgain},
		{"again after the second of two kills", `
			1 sent 1/0
			2 ok 1/0
			3 got 1/0 c
			4 fin 1/0 c
			155 kill
			200 kill
			300 got 1/0 c 1`, DeliveredAgain},
		{"again after a clean stop", `
			1 sent 1/0
			2 ok 1/0
			3 got 1/0 c
			4 fin 1/0 c
			25 stop
			300 got 1/0 c 1`, DeliveredAgain},
		{"again though the finish is known to be recorded", `
			1 sent 1/0
			2 ok 1/0
			3 got 1/0 c
			4 fin 1/0 c
			5 recorded 1/0 c
			6 kill
			300 got 1/0 c 1
			301 fin 1/0 c`, DeliveredAgain},
		{"second before first", `
			1 sent 1/0
			1 sent 1/1
			2 ok 1/0
			2 ok 1/1
			3 got 1/1 c
			4 got 1/0 c
			5 fin 1/0 c
			5 fin 1/1 c`, OutOfOrder},
		{"deferred message early", `
			1 sent 1/0 1000
			2 ok 1/0
			900 got 1/0 c
			901 fin 1/0 c`, Early},
		{"deferred message early after a kill", `
			1 sent 1/0 1000
			2 ok 1/0
			500 kill
			900 got 1/0 c
			901 fin 1/0 c`, Early},
		{"requeued message early", `
			1 sent 1/0
			2 ok 1/0
			3 got 1/0 c
			4 req 1/0 c 1000
			900 got 1/0 c 2
			901 fin 1/0 c`, Early},
		{"requeued message early because a kill forgot its due time", `
			1 sent 1/0
			2 ok 1/0
			3 got 1/0 c
			4 req 1/0 c 1000
			400 kill
			900 got 1/0 c 2
			901 fin 1/0 c`, Early},
		{"attempts stand still", `
			1 sent 1/0
			2 ok 1/0
			3 got 1/0 c 1
			4 req 1/0 c
			5 got 1/0 c 1
			6 fin 1/0 c`, AttemptsDecreased},
		{"attempts fall below what a requeue recorded", `
			1 sent 1/0
			2 ok 1/0
			3 got 1/0 c 1
			4 req 1/0 c
			5 got 1/0 c 2
			6 req 1/0 c
			400 kill
			500 got 1/0 c 1
			501 fin 1/0 c`, AttemptsDecreased},
		{"attempts stand still though a connection was lost", `
			1 sent 1/0
			2 ok 1/0
			3 got 1/0 c 1
			5 lost c
			6 got 1/0 c 1
			7 fin 1/0 c`, AttemptsDecreased},
		{"attempts of zero", `
			1 sent 1/0
			2 ok 1/0
			3 got 1/0 c 0
			4 fin 1/0 c`, AttemptsDecreased},
		{"half of an MPUB", `
			1 sent 9/2
			1 sent 9/3
			5 unknown 9/2
			5 unknown 9/3
			7 got 9/3 c
			7 fin 9/3 c`, TornBatch},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := script(t, test.story)
			r := Check(h, strict)
			if r.Count(test.want) != 1 {
				t.Errorf("%s counted %d times, want 1", test.want, r.Count(test.want))
			}
			for f := range numFaults {
				if f != test.want && r.Count(f) != 0 {
					t.Errorf("%s counted %d times, want 0", f, r.Count(f))
				}
			}
			if err := r.Err(); err == nil || !strings.Contains(err.Error(), test.want.String()) {
				t.Errorf("Err does not name %s: %v", test.want, err)
			}
		})
	}
}

func TestCheckAllowsWhatIsAllowed(t *testing.T) {
	for _, test := range []struct{ name, story string }{
		{"delivered once", `
			1 sent 1/0
			2 ok 1/0
			3 got 1/0 c
			4 fin 1/0 c`},
		{"delivered before the publisher saw the answer", `
			1 sent 1/0
			2 got 1/0 c
			3 ok 1/0
			4 fin 1/0 c`},
		{"unanswered and not delivered", `
			1 sent 1/0
			2 kill
			3 unknown 1/0`},
		{"unanswered and delivered", `
			1 sent 1/0
			2 kill
			3 unknown 1/0
			9 got 1/0 c
			9 fin 1/0 c`},
		{"refused and not delivered", `
			1 sent 1/0
			2 refused 1/0`},
		{"again after a kill soon after the finish", `
			1 sent 1/0
			2 ok 1/0
			3 got 1/0 c
			4 fin 1/0 c
			150 kill
			300 got 1/0 c 1
			301 fin 1/0 c`},
		{"again because the consumer's connection was lost with the finish in it", `
			1 sent 1/0
			2 ok 1/0
			3 got 1/0 c
			4 fin 1/0 c
			5 lost c
			300 got 1/0 c 2
			301 fin 1/0 c`},
		{"again because the finish came too late", `
			1 sent 1/0
			2 ok 1/0
			3 got 1/0 c
			60 fin 1/0 c
			61 got 1/0 c 2
			62 finfailed 1/0 c
			63 fin 1/0 c`},
		{"finish in the socket at a clean stop", `
			1 sent 1/0
			2 ok 1/0
			3 got 1/0 c
			4 fin 1/0 c
			10 stop
			300 got 1/0 c 1
			301 fin 1/0 c`},
		{"requeue forgotten by a kill right after it", `
			1 sent 1/0
			2 ok 1/0
			3 got 1/0 c
			4 req 1/0 c 1000
			100 kill
			300 got 1/0 c 1
			301 fin 1/0 c`},
		{"attempt repeated after a kill", `
			1 sent 1/0
			2 ok 1/0
			3 got 1/0 c 1
			4 req 1/0 c
			5 got 1/0 c 2
			400 kill
			500 got 1/0 c 2
			501 fin 1/0 c`},
		{"attempt repeated after a kill, whose leftovers the consumer was still reading", `
			1 sent 1/0
			2 ok 1/0
			3 kill
			4 got 1/0 c 1
			4 fin 1/0 c
			5 lost c
			300 got 1/0 c 1
			301 fin 1/0 c`},
		{"deferred message overtaken", `
			1 sent 1/0 50
			1 sent 1/1
			2 ok 1/0
			2 ok 1/1
			3 got 1/1 c
			51 got 1/0 c
			52 fin 1/0 c
			52 fin 1/1 c`},
		{"redelivery out of order", `
			1 sent 1/0
			1 sent 1/1
			2 ok 1/0
			2 ok 1/1
			3 got 1/0 c
			4 got 1/1 c
			5 req 1/0 c
			5 fin 1/1 c
			6 got 1/0 c 2
			7 fin 1/0 c`},
		{"a whole MPUB without answer, and none of another", `
			1 sent 9/0
			1 sent 9/1
			1 sent 9/2
			1 sent 9/3
			2 kill
			7 got 9/0 c
			7 got 9/1 c
			8 fin 9/0 c
			8 fin 9/1 c`},
		{"another channel was not drained", `
			1 sent 1/0
			2 ok 1/0
			3 got 1/0 c
			4 got 1/0 d
			5 fin 1/0 c`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := Check(script(t, test.story), strict).Err(); err != nil {
				t.Error(err)
			}
		})
	}
}

// Consumers with connections to several nodes may read a copy after one that was sent later; only one that was sent later says that a
// finish was forgotten.
func TestACopyThatWasOvertakenIsNoDeliveryAgain(t *testing.T) {
	const story = `
		1 sent 1/0
		2 ok 1/0
		3 got 1/0 c 2
		4 fin 1/0 c
		5 recorded 1/0 c
		6 got 1/0 c %d
		7 fin 1/0 c
		7 finfailed 1/0 c`
	rules := strict
	rules.Overtaking = true
	for attempts, again := range map[int]int{1: 0, 2: 1, 3: 1} {
		if n := Check(script(t, fmt.Sprintf(story, attempts)), rules).Count(DeliveredAgain); n != again {
			t.Errorf("a copy with %d attempts after one with 2: %d delivered again, want %d", attempts, n, again)
		}
	}
	if n := Check(script(t, fmt.Sprintf(story, 1)), strict).Count(DeliveredAgain); n != 1 {
		t.Error("a single connection keeps the order")
	}
}

func TestWithoutDrainNothingCountsAsLost(t *testing.T) {
	rules := strict
	rules.Drained = false
	if err := Check(script(t, "1 sent 1/0\n2 ok 1/0"), rules).Err(); err != nil {
		t.Error(err)
	}
}

func TestReportCounts(t *testing.T) {
	h := script(t, `
		1 sent 1/0
		1 sent 1/1
		1 sent 1/2
		1 sent 1/3
		2 ok 1/0
		2 ok 1/1
		2 refused 1/2
		3 got 1/0 c 1
		3 got 1/1 c 1
		4 req 1/0 c
		5 kill
		6 unknown 1/3
		20 got 1/0 c 1
		21 got 1/0 c 2
		21 got 1/3 c 1
		22 fin 1/0 c
		22 fin 1/1 c
		22 fin 1/3 c
		90 stop`)
	r := Check(h, strict)
	if r.Sent != 4 || r.Answered != 2 || r.Refused != 1 || r.Unknown != 1 || r.Kills != 1 || r.Stops != 1 {
		t.Errorf("publish counts are %+v", r)
	}
	c := r.Channels[0]
	if c.Delivered != 3 || c.Deliveries != 5 || c.Duplicates != 2 || c.MostDeliveries != 3 || c.UnknownDelivered != 1 || c.Finished != 3 {
		t.Errorf("channel counts are %+v", c)
	}
	var out strings.Builder
	if err := r.Fprint(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"sent 4, answered OK 2, refused 1, without answer 1; kill -9 1, clean stops 1", "duplicates", "attempts"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, out.String())
		}
	}
}
