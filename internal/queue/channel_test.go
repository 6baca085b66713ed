package queue

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A machine drives a leading Channel, a follower and the model with the same calls and compares them.
type machine struct {
	m        *model
	leader   *Channel
	follower *Channel
	now      Now
	sessions map[*Session]time.Duration
	order    []*Session
	flushed  [][]byte // proposed and neither committed nor refused

	checkpoint []byte            // the durable state of a while ago
	since      []func(*Channel)  // and what was applied after it
	recorded   map[Offset]uint16 // highest attempts ever recorded
	opts       Options
}

func newMachine(t *rapid.T) *machine {
	start := rapid.SampledFrom([]Offset{0, 1, pageLen - 20, blockLen - 20, 5*blockLen + 3}).Draw(t, "start")
	x := &machine{m: newModel(start), now: at(1), sessions: map[*Session]time.Duration{}, recorded: map[Offset]uint16{}}
	x.opts = Options{MaxMsgTimeout: 50 * time.Millisecond, MaxUnfinished: rapid.SampledFrom([]int{10, 100_000}).Draw(t, "max unfinished")}
	x.leader, x.follower = New(start, x.opts), New(start, x.opts)
	x.checkpoint = x.leader.AppendState(nil)
	x.lead()
	return x
}

func (x *machine) lead() {
	x.leader.Lead(x.now)
	x.leader.lead.window.limit = minRing // so that strays are common
	x.m.lead(x.now)
	x.sessions, x.order = map[*Session]time.Duration{}, nil
}

// apply makes one durable change everywhere.
func (x *machine) apply(change func(*Channel)) {
	change(x.leader)
	change(x.follower)
	x.since = append(x.since, change)
}

func (x *machine) session(t *rapid.T) *Session {
	if len(x.order) == 0 {
		t.Skip("no session")
	}
	return rapid.SampledFrom(x.order).Draw(t, "session")
}

// offset draws an offset, mostly one in flight with s.
func (x *machine) offset(t *rapid.T, s *Session) Offset {
	var held []Offset
	for off, st := range x.m.state {
		if st.session == s {
			held = append(held, off)
		}
	}
	slices.Sort(held)
	if len(held) == 0 || rapid.IntRange(0, 7).Draw(t, "any offset") == 0 {
		return Offset(rapid.Int64Range(int64(x.m.start)-2, int64(x.m.end)+2).Draw(t, "offset"))
	}
	return rapid.SampledFrom(held).Draw(t, "held")
}

func (x *machine) publish(t *rapid.T) {
	x.m.end += Offset(rapid.IntRange(1, 60).Draw(t, "messages"))
}

func (x *machine) publishDeferred(t *rapid.T) {
	off, dueMs := x.m.end, x.now.ms()+rapid.Int64Range(-5, 100).Draw(t, "due")
	x.apply(func(c *Channel) { c.ApplyDefer(off, dueMs) })
	x.m.applyDefer(off, dueMs)
	x.m.end++
}

func (x *machine) wait(t *rapid.T) {
	ns := rapid.SampledFrom([]int64{1, 999_999, 1e6, 3e6, 20e6, 60e6}).Draw(t, "ns")
	x.now.Mono += ns
	x.now.Wall += ns
	due := len(x.m.due(Now{Wall: x.m.dueMs * 1e6}))
	became := len(x.m.due(x.now)) - due + x.m.expired(x.now)
	if got := x.leader.Tick(x.now); got != became {
		t.Fatalf("Tick made %d ready, want %d", got, became)
	}
}

func (x *machine) addSession(t *rapid.T) {
	if len(x.order) == 4 {
		t.Skip("enough sessions")
	}
	timeout := rapid.SampledFrom([]time.Duration{5 * time.Millisecond, 30 * time.Millisecond}).Draw(t, "timeout")
	s := x.leader.AddSession(timeout, 0)
	x.leader.SetReady(s, rapid.IntRange(1, 100).Draw(t, "ready"))
	x.sessions[s] = timeout
	x.order = append(x.order, s)
}

func (x *machine) removeSession(t *rapid.T) {
	s := x.session(t)
	x.leader.RemoveSession(x.now, s)
	for off, st := range x.m.state {
		if st.session == s {
			x.m.requeue(off, x.now.ms())
		}
	}
	delete(x.sessions, s)
	x.order = slices.DeleteFunc(x.order, func(o *Session) bool { return o == s })
}

func (x *machine) take(t *rapid.T) {
	s := x.session(t)
	limit := rapid.IntRange(1, 80).Draw(t, "limit")
	due, fresh := x.m.due(x.now), x.m.fresh()
	room := max(0, x.opts.MaxUnfinished-len(x.m.state))
	fresh = fresh[:min(room, len(fresh))]
	n := max(0, min(limit, maxTurn, s.Ready()-x.m.inFlight(s)))
	took := 0
	tookDue := 0
	runs := x.leader.Take(x.now, s, x.m.end, limit, nil)
	if x.m.paused {
		n = 0
	}
	freshWas := len(fresh)
	for _, r := range runs {
		for off := r.First; off < r.First+Offset(r.Count); off++ {
			switch {
			case len(due) > 0 && due[0] == off:
				due = due[1:]
				tookDue++
			case len(fresh) > 0 && fresh[0] == off:
				fresh = fresh[1:]
			default:
				t.Fatalf("took %d, which is neither next due %v nor next fresh %v", off, due, fresh)
			}
			if attempts := x.m.deliver(x.now, s, x.sessions[s], off); attempts != r.Attempts || attempts <= x.recorded[off] && attempts < maxAttempts {
				t.Fatalf("%d has attempts %d, want %d, recorded %d", off, r.Attempts, attempts, x.recorded[off])
			}
			took++
		}
	}
	if took > n || took < n && len(due)+len(fresh) > 0 {
		t.Fatalf("took %d of %d with %d due and %d fresh left", took, n, len(due), len(fresh))
	}
	if freshWas > 0 && len(fresh) > 0 && tookDue > (n+1)/2 {
		t.Fatalf("%d of %d places went to due messages while fresh ones were there", tookDue, n)
	}
}

func (x *machine) finish(t *rapid.T) {
	s := x.session(t)
	off := x.offset(t, s)
	want := x.m.owned(s, off)
	if got := x.leader.Finish(x.now, s, off); got != want {
		t.Fatalf("Finish(%d): %v, want %v", off, got, want)
	}
	if want == nil {
		x.m.finish(off)
	}
}

// finishMany finishes nearly all that a session holds.
func (x *machine) finishMany(t *rapid.T) {
	s := x.session(t)
	for off, st := range x.m.state {
		if st.session != s || off%17 == 0 {
			continue
		}
		if err := x.leader.Finish(x.now, s, off); err != nil {
			t.Fatalf("Finish(%d): %v", off, err)
		}
		x.m.finish(off)
	}
}

func (x *machine) requeue(t *rapid.T) {
	s := x.session(t)
	off := x.offset(t, s)
	delayMs := rapid.SampledFrom([]int64{-1, 0, 1, 40}).Draw(t, "delay")
	want := x.m.owned(s, off)
	if got := x.leader.Requeue(x.now, s, off, time.Duration(delayMs)*time.Millisecond); got != want {
		t.Fatalf("Requeue(%d): %v, want %v", off, got, want)
	}
	if want == nil {
		dueMs := x.now.ms()
		if delayMs > 0 {
			dueMs = (x.now.Wall + delayMs*1e6 + 999_999) / 1e6
		}
		x.m.requeue(off, dueMs)
	}
}

// anywhere draws an offset wherever it is, or is not.
func (x *machine) anywhere(t *rapid.T) (off Offset, want error) {
	off = Offset(rapid.Int64Range(int64(x.m.start)-2, int64(x.m.end)+2).Draw(t, "offset"))
	if off >= x.m.end || off < x.m.start || x.m.done(off) || x.m.gone[off] {
		want = ErrNotUnfinished
	}
	return off, want
}

func (x *machine) finishAny(t *rapid.T) {
	off, want := x.anywhere(t)
	if got := x.leader.FinishAny(off, x.m.end); got != want {
		t.Fatalf("FinishAny(%d): %v, want %v", off, got, want)
	}
	if want == nil {
		x.m.finish(off)
	}
}

func (x *machine) requeueAny(t *rapid.T) {
	off, want := x.anywhere(t)
	delayMs := rapid.SampledFrom([]int64{-1, 0, 1, 40}).Draw(t, "delay")
	if got := x.leader.RequeueAny(x.now, off, x.m.end, time.Duration(delayMs)*time.Millisecond); got != want {
		t.Fatalf("RequeueAny(%d): %v, want %v", off, got, want)
	}
	_, known := x.m.state[off]
	switch {
	case want != nil || !known && delayMs <= 0:
	case delayMs > 0:
		x.m.requeue(off, (x.now.Wall+delayMs*1e6+999_999)/1e6)
	default:
		x.m.requeue(off, x.now.ms())
	}
}

func (x *machine) touch(t *rapid.T) {
	s := x.session(t)
	off := x.offset(t, s)
	want := x.m.owned(s, off)
	if got := x.leader.Touch(x.now, s, off); got != want {
		t.Fatalf("Touch(%d): %v, want %v", off, got, want)
	}
	if want == nil {
		st := x.m.state[off]
		st.deadline = min(x.now.Mono+int64(x.sessions[s]), st.delivered+int64(50*time.Millisecond))
		x.m.state[off] = st
	}
}

func parse(t *rapid.T, delta []byte) (fin []Offset, req map[Offset]wait) {
	req = map[Offset]wait{}
	err := readDelta(delta, func(from, to Offset) {
		for off := from; off < to; off++ {
			fin = append(fin, off)
		}
	}, func(off Offset, w wait) { req[off] = w })
	if err != nil {
		t.Fatal(err)
	}
	return fin, req
}

func (x *machine) flush(t *rapid.T) {
	maxBytes := rapid.SampledFrom([]int{1, 40, 1 << 16}).Draw(t, "max bytes")
	had := len(x.m.pendingFin) + len(x.m.pendingReq)
	delta := x.leader.Flush(nil, maxBytes)
	if had == 0 {
		if len(delta) != 0 {
			t.Fatal("flushed though nothing pends")
		}
		return
	}
	fin, req := parse(t, delta)
	if len(fin)+len(req) == 0 {
		t.Fatal("flush made no progress")
	}
	for _, off := range fin {
		if !x.m.pendingFin[off] {
			t.Fatalf("flushed finish of %d, which does not pend", off)
		}
		delete(x.m.pendingFin, off)
	}
	for off, w := range req {
		if x.m.pendingReq[off] != w {
			t.Fatalf("flushed requeue of %d as %v, want %v", off, w, x.m.pendingReq[off])
		}
		delete(x.m.pendingReq, off)
	}
	if left := len(x.m.pendingFin) + len(x.m.pendingReq); maxBytes == 1<<16 && left > 0 {
		t.Fatalf("%d still pend after a large flush", left)
	}
	x.flushed = append(x.flushed, delta)
}

func (x *machine) commit(t *rapid.T) {
	if len(x.flushed) == 0 {
		t.Skip("nothing flushed")
	}
	delta := x.flushed[0]
	x.flushed = x.flushed[1:]
	x.apply(func(c *Channel) {
		if err := c.ApplyDelta(delta); err != nil {
			t.Fatal(err)
		}
	})
	fin, req := parse(t, delta)
	for _, off := range fin {
		x.m.applyFinish(off)
	}
	for off, w := range req {
		x.m.applyRequeue(off, w)
		x.recorded[off] = max(x.recorded[off], w.attempts)
	}
}

func (x *machine) refuse(t *rapid.T) {
	if len(x.flushed) == 0 {
		t.Skip("nothing flushed")
	}
	i := rapid.IntRange(0, len(x.flushed)-1).Draw(t, "refused")
	x.m.refuse(parse(t, x.flushed[i]))
	x.leader.Refuse(x.flushed[i])
	x.flushed = slices.Delete(x.flushed, i, i+1)
}

func (x *machine) empty(t *rapid.T) {
	if rapid.IntRange(0, 3).Draw(t, "seldom") > 0 {
		t.Skip("not now")
	}
	end := Offset(rapid.Int64Range(int64(x.m.start), int64(x.m.end)).Draw(t, "empty to"))
	x.apply(func(c *Channel) { c.ApplyEmpty(end) })
	x.m.applyEmpty(end)
}

func (x *machine) pause(t *rapid.T) {
	paused := rapid.IntRange(0, 3).Draw(t, "pause") == 0
	x.apply(func(c *Channel) { c.ApplyPause(paused) })
	x.m.paused = paused
}

func (x *machine) drop(t *rapid.T) {
	if rapid.IntRange(0, 5).Draw(t, "seldom") > 0 {
		t.Skip("not now")
	}
	to := Offset(rapid.Int64Range(int64(x.m.start), int64(x.m.end)).Draw(t, "drop to"))
	want := 0
	for _, off := range x.m.fresh() {
		if off < to {
			x.m.finish(off)
			want++
		}
	}
	if got := x.leader.Drop(to); got != want {
		t.Fatalf("dropped %d, want %d", got, want)
	}
}

// changeLeader makes the follower the leader. What was flushed is either committed before, or lost.
func (x *machine) changeLeader(t *rapid.T) {
	for keep := rapid.IntRange(0, len(x.flushed)).Draw(t, "committed"); keep > 0; keep-- {
		x.commit(t)
	}
	x.flushed = nil
	x.leader.Follow()
	x.m.follow()
	for _, s := range x.order { // sessions of the old leadership are harmless
		if err := x.leader.Finish(x.now, s, x.m.start); err != ErrNotInFlight {
			t.Fatalf("Finish after Follow: %v", err)
		}
		x.leader.RemoveSession(x.now, s)
	}
	if rapid.Bool().Draw(t, "swap") {
		x.leader, x.follower = x.follower, x.leader
	}
	x.lead()
}

// restart rebuilds the follower from the checkpoint and what was applied since.
func (x *machine) restart(t *rapid.T) {
	c, err := Decode(x.checkpoint, x.opts)
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range x.since {
		change(c)
	}
	x.follower = c
	if rapid.Bool().Draw(t, "new checkpoint") {
		x.checkpoint, x.since = x.leader.AppendState(nil), nil
	}
}

// check compares everything that can be seen.
func (x *machine) check(t *rapid.T) {
	state := x.leader.AppendState(nil)
	if !bytes.Equal(state, x.follower.AppendState(nil)) {
		t.Fatal("leader and follower differ in durable state")
	}
	if x.leader.Floor() != x.m.floorNow() || x.leader.Paused() != x.m.paused {
		t.Fatalf("floor %d, want %d", x.leader.Floor(), x.m.floorNow())
	}
	var unfinished []Offset
	x.follower.EachUnfinished(0, x.m.end, func(off Offset) bool {
		unfinished = append(unfinished, off)
		return true
	})
	i := 0
	for off := x.m.start; off < x.m.end; off++ {
		if !x.m.done(off) {
			if i >= len(unfinished) || unfinished[i] != off {
				t.Fatalf("unfinished %v lack %d", unfinished, off)
			}
			i++
		}
	}
	if i != len(unfinished) || x.follower.CountUnfinished(0, x.m.end) != i {
		t.Fatalf("%d unfinished, want %d", len(unfinished), i)
	}
	for off, w := range x.m.waiting {
		if got, ok := x.follower.cursor.waiting.get(off); !ok || got != w {
			t.Fatalf("%d waits as %v, want %v", off, got, w)
		}
	}
	if n := x.follower.cursor.waiting.len(); n != len(x.m.waiting) {
		t.Fatalf("%d wait, want %d", n, len(x.m.waiting))
	}
	x.checkVolatile(t)
}

func (x *machine) checkVolatile(t *rapid.T) {
	got := x.leader.Counts(x.m.end)
	due := len(x.m.due(Now{Wall: x.m.dueMs * 1e6}))
	flying := x.m.inFlight(nil)
	if got.InFlight != flying || got.Depth != len(x.m.fresh())+due || got.Deferred != len(x.m.state)-flying-due || got.Unfinished != len(x.m.state) {
		t.Fatalf("counts %+v, want %d in flight, %d fresh, %d due, %d in all", got, flying, len(x.m.fresh()), due, len(x.m.state))
	}
	for _, s := range x.order {
		if s.InFlight() != x.m.inFlight(s) {
			t.Fatalf("session holds %d, want %d", s.InFlight(), x.m.inFlight(s))
		}
	}
	x.checkViews(t)
	mono, wall, _ := x.leader.NextEvent()
	wantMono, wantMs := x.m.earliest()
	if mono != wantMono || wall != wantMs*1e6 {
		t.Fatalf("next event %d and %d, want %d and %d", mono, wall, wantMono, wantMs*1e6)
	}
	if x.leader.Pending() != (len(x.m.pendingFin)+len(x.m.pendingReq) > 0) {
		t.Fatal("pending is wrong")
	}
}

// checkViews compares what an operator sees, page by page.
func (x *machine) checkViews(t *rapid.T) {
	page := rapid.IntRange(1, 20).Draw(t, "page")
	fresh := []Offset{}
	for from := x.m.start; ; {
		list := x.leader.Fresh(from, x.m.end, page)
		if len(list) == 0 {
			break
		}
		fresh = append(fresh, list...)
		from = list[len(list)-1] + 1
	}
	if !slices.Equal(fresh, x.m.fresh()) {
		t.Fatalf("fresh are %v, want %v", fresh, x.m.fresh())
	}
	var due, deferred []Offset
	now := Now{Mono: x.now.Mono, Wall: x.m.dueMs * 1e6}
	for after := (Scheduled{}); ; {
		list := x.leader.Due(now, after, page)
		if len(list) == 0 {
			break
		}
		for _, s := range list {
			due = append(due, s.Offset)
		}
		after = list[len(list)-1]
	}
	for after := (Scheduled{}); ; {
		list := x.leader.Deferred(now, after, page)
		if len(list) == 0 {
			break
		}
		for _, s := range list {
			deferred = append(deferred, s.Offset)
			if st := x.m.state[s.Offset]; st.session != nil || st.dueMs != s.DueMs || st.attempts != s.Attempts {
				t.Fatalf("deferred %+v, want %+v", s, st)
			}
		}
		after = list[len(list)-1]
	}
	if want := x.m.due(now); !slices.Equal(due, want) {
		t.Fatalf("due are %v, want %v", due, want)
	}
	if len(due)+len(deferred)+x.m.inFlight(nil) != len(x.m.state) {
		t.Fatalf("%d due, %d deferred, %d in flight of %d", len(due), len(deferred), x.m.inFlight(nil), len(x.m.state))
	}
	flights := x.leader.Flights(x.m.start-2, 1<<20)
	if len(flights) != x.m.inFlight(nil) {
		t.Fatalf("%d flights, want %d", len(flights), x.m.inFlight(nil))
	}
	for _, f := range flights {
		if st := x.m.state[f.Offset]; st.session != f.Session || st.attempts != f.Attempts || st.deadline != f.Deadline || st.delivered != f.Delivered {
			t.Fatalf("flight %+v, want %+v", f, st)
		}
	}
	if len(flights) > 1 {
		if some := x.leader.Flights(flights[1].Offset, 1); len(some) != 1 || some[0] != flights[1] {
			t.Fatalf("a page of flights: %+v", some)
		}
	}
}

func TestChannelBehavesAsTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := newMachine(t)
		x.addSession(t)
		t.Repeat(map[string]func(*rapid.T){
			"publish": x.publish, "publish deferred": x.publishDeferred, "wait": x.wait,
			"add session": x.addSession, "remove session": x.removeSession,
			"take": x.take, "take more": x.take, "take yet more": x.take,
			"finish": x.finish, "finish many": x.finishMany, "requeue": x.requeue, "touch": x.touch,
			"finish any": x.finishAny, "requeue any": x.requeueAny,
			"flush": x.flush, "commit": x.commit, "refuse": x.refuse,
			"empty": x.empty, "pause": x.pause, "drop": x.drop,
			"change leader": x.changeLeader, "restart": x.restart,
			"": x.check,
		})
	})
}
