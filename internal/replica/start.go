package replica

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/weirmq/weir/internal/record"
)

// Bounds of one group's messages, in bytes and numbers.
const (
	messageBytes  = 256 << 10
	inflightBytes = 16 << 20
	inflightMax   = 256
	applyBytes    = 8 << 20
	// uncommittedBytes is what a leader takes while the others do not store it; more is refused.
	uncommittedBytes = 128 << 20
)

// startRaft makes the RawNode. What is stored up to index above is applied; what is above waits for the group to say whether it is
// committed.
func (g *Group) startRaft(above uint64) error {
	stored, ok := g.groups.votes.get(g.id)
	b := g.log().Bounds()
	switch {
	case !ok:
		return fmt.Errorf("its vote is missing from %s", votesName)
	case stored.replica != g.config.Self:
		return fmt.Errorf("%s has the vote of replica %d", votesName, stored.replica)
	case stored.term < uint64(b.LastTerm):
		return fmt.Errorf("%s says term %d, but the last entry has %d: it is older than the log", votesName, stored.term, b.LastTerm)
	}
	if err := g.placeApplied(record.Index(above)); err != nil {
		return err
	}
	g.saved = stored
	g.storage = storage{group: g, log: g.log(), conf: g.initialConf(),
		hard: raftpb.HardState{Term: new(stored.term), Vote: new(stored.vote), Commit: new(above)}}
	var err error
	g.node, err = raft.NewRawNode(&raft.Config{
		ID:                        g.config.Self,
		ElectionTick:              electionTicks,
		HeartbeatTick:             heartbeatTicks,
		Storage:                   &g.storage,
		Applied:                   above,
		AsyncStorageWrites:        true,
		MaxSizePerMsg:             messageBytes,
		MaxCommittedSizePerReady:  applyBytes,
		MaxInflightMsgs:           inflightMax,
		MaxInflightBytes:          inflightBytes,
		MaxUncommittedEntriesSize: uncommittedBytes,
		PreVote:                   true,
		CheckQuorum:               true,
		StepDownOnRemoval:         true,
		DisableProposalForwarding: true,
		Logger:                    raftLogger{g.logger},
	})
	return err
}

// placeApplied sets the high watermark to where entry above ends.
func (g *Group) placeApplied(above record.Index) error {
	switch b := g.log().Bounds(); {
	case above == b.LastIndex:
		g.applied = tail{index: above, next: b.Next, time: b.LastTime}
	case above > b.LastIndex:
		return fmt.Errorf("its checkpoint is at entry %d, but its log ends at %d", above, b.LastIndex)
	case above+1 < b.FirstIndex:
		return fmt.Errorf("its newest readable checkpoint is at entry %d, but its log begins at %d", above, b.FirstIndex)
	case above < b.FirstIndex:
		origin := g.log().Origin()
		g.applied = tail{index: above, next: origin.Next, time: origin.Time}
	default:
		at, err := g.log().Entries(above, above+1, 0)
		if err != nil {
			return err
		}
		g.applied = tail{index: above, next: at[0].Next(), time: at[0].Time}
	}
	g.high.Store(int64(g.applied.next))
	return nil
}

// initialConf returns the voters of the group as it was made.
func (g *Group) initialConf() *raftpb.ConfState {
	return &raftpb.ConfState{Voters: slices.Sorted(maps.Keys(g.config.Replicas))}
}

// raftLogger passes on what the library has to say: of elections at level debug, of what should not happen as it is.
type raftLogger struct{ logger *slog.Logger }

func (l raftLogger) Debug(v ...any)                 {}
func (l raftLogger) Debugf(format string, v ...any) {}
func (l raftLogger) Info(v ...any)                  { l.logger.Debug("raft: " + fmt.Sprint(v...)) }
func (l raftLogger) Infof(format string, v ...any) {
	l.logger.Debug("raft: " + fmt.Sprintf(format, v...))
}
func (l raftLogger) Warning(v ...any) { l.logger.Debug("raft: " + fmt.Sprint(v...)) }
func (l raftLogger) Warningf(format string, v ...any) {
	l.logger.Debug("raft: " + fmt.Sprintf(format, v...))
}
func (l raftLogger) Error(v ...any) { l.logger.Warn("raft: " + fmt.Sprint(v...)) }
func (l raftLogger) Errorf(format string, v ...any) {
	l.logger.Warn("raft: " + fmt.Sprintf(format, v...))
}
func (l raftLogger) Fatal(v ...any)                 { panic(fmt.Sprint(v...)) }
func (l raftLogger) Fatalf(format string, v ...any) { panic(fmt.Sprintf(format, v...)) }
func (l raftLogger) Panic(v ...any)                 { panic(fmt.Sprint(v...)) }
func (l raftLogger) Panicf(format string, v ...any) { panic(fmt.Sprintf(format, v...)) }
