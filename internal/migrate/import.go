package migrate

import (
	"context"
	"fmt"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/nsqdata"
)

// Import brings the topics, channels and messages of a stopped nsqd into a new data directory of Weir. If it returns an error, or
// the process dies, it can be called again. A damaged file is read up to the damage, which the report tells of.
func Import(ctx context.Context, o Options) (*Report, error) {
	s := &staging{nsq: o.NSQ, weir: o.Weir}
	unlock, err := s.lock(o.DryRun)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := s.check(); err != nil {
		return nil, err
	}
	if s.complete() && !o.DryRun {
		o.Logger.Info("an earlier import was complete but for its end; bringing it there", "path", o.Weir)
		return &Report{}, s.finish()
	}
	d, err := nsqdata.Open(o.NSQ)
	if err != nil {
		return nil, err
	}
	i := &importer{directory: d, report: &Report{}, progress: progress{terminal: o.Terminal, verb: "importing", begun: time.Now()}}
	if err := i.measure(); err != nil {
		return nil, err
	}
	if o.DryRun {
		return i.report, i.run(ctx, nil)
	}
	if err := s.begin(); err != nil {
		return nil, err
	}
	offline, err := openWeir(s.data(), o.Logger)
	if err != nil {
		return nil, err
	}
	err = closeWith(offline, i.run(ctx, offline.Broker()))
	i.progress.show("\n")
	if err != nil {
		return nil, fmt.Errorf("import %s: %w", o.NSQ, err)
	}
	if err := s.markComplete(); err != nil {
		return nil, err
	}
	return i.report, s.finish()
}

// importer is one import.
type importer struct {
	directory *nsqdata.Directory
	report    *Report
	progress  progress
}

// measure adds up how much there is to read.
func (i *importer) measure() error {
	for _, t := range i.directory.Topics {
		queues := []nsqdata.Queue{t.Queue}
		for _, c := range t.Channels {
			queues = append(queues, c.Queue)
		}
		for _, q := range queues {
			n, err := q.Bytes()
			if err != nil {
				return err
			}
			i.progress.total += n
		}
	}
	return nil
}

// run imports all topics; without a broker it only reads.
func (i *importer) run(ctx context.Context, b *broker.Broker) error {
	for _, name := range i.directory.Bad {
		i.report.note("%s was set aside by nsqd itself: not imported", name)
	}
	for _, t := range i.directory.Topics {
		if !i.report.validName(t.Name) {
			continue
		}
		if err := i.topic(ctx, b, &t); err != nil {
			return err
		}
	}
	return nil
}

// topic imports one topic: its channels, then their backlogs, then its own.
func (i *importer) topic(ctx context.Context, b *broker.Broker, t *nsqdata.Topic) error {
	target := &importedTopic{channels: map[string]*broker.Channel{}}
	if b != nil {
		var err error
		if target.topic, err = b.CreateTopic(ctx, t.Name); err != nil {
			return err
		}
	}
	var channels []nsqdata.Channel
	for _, c := range t.Channels {
		if !i.report.validName(c.Name) {
			continue
		}
		channels = append(channels, c)
		if err := target.createChannel(ctx, c.Name, c.Paused); err != nil {
			return err
		}
	}
	for _, c := range channels {
		report := QueueReport{Topic: t.Name, Channel: c.Name, Paused: c.Paused}
		if err := i.queue(ctx, target, &c.Queue, report); err != nil {
			return err
		}
	}
	if target.topic != nil && t.Paused { // from here on the messages wait for the end of the pause, as in nsqd
		if err := target.topic.SetPaused(ctx, true); err != nil {
			return err
		}
	}
	return i.queue(ctx, target, &t.Queue, QueueReport{Topic: t.Name, Paused: t.Paused})
}

// queue imports one queue; with a channel in the report it is that channel's alone.
func (i *importer) queue(ctx context.Context, target *importedTopic, q *nsqdata.Queue, report QueueReport) error {
	w := newBacklogWriter(target, report.Channel)
	damages, err := q.Each(func(m nsqdata.Message) error {
		if len(m.Body) > mostBodyBytes {
			i.report.note("a message of %d bytes in %s is larger than Weir takes (%d): left out", len(m.Body), q.Name, mostBodyBytes)
			i.report.Damages++
			return nil
		}
		report.Messages++
		report.Bytes += int64(len(m.Body))
		i.progress.add(len(m.Body))
		return w.write(ctx, m)
	})
	if err == nil {
		err = w.close(ctx)
	} else {
		w.wait()
	}
	if err != nil {
		return fmt.Errorf("import queue %s: %w", q.Name, err)
	}
	for _, d := range damages {
		i.report.note("%s", d)
		i.report.Damages++
	}
	i.report.Queues = append(i.report.Queues, report)
	return nil
}
