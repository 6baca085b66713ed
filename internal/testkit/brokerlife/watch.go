package brokerlife

import (
	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/replica"
)

// watchedLogs counts what retention does.
type watchedLogs struct {
	*replica.Logs
	story *Story
}

// Open implements broker.Logs.
func (l *watchedLogs) Open(id broker.LogID, m broker.Machine) (broker.Log, error) {
	log, err := l.Logs.Open(id, m)
	if err != nil {
		return nil, err
	}
	return &watchedLog{log, l.story}, nil
}

type watchedLog struct {
	broker.Log
	story *Story
}

// Propose implements broker.Log.
func (l *watchedLog) Propose(p *broker.Proposal) {
	if p.Kind == record.KindCarry {
		l.story.Carried.Add(1)
	}
	l.Log.Propose(p)
}

// Trim implements broker.Log.
func (l *watchedLog) Trim(below record.Offset) error {
	before := len(l.Segments())
	err := l.Log.Trim(below)
	l.story.Trimmed.Add(int64(before - len(l.Segments())))
	return err
}
