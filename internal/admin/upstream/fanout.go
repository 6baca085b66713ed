package upstream

import (
	"context"
	"strings"
	"sync"
)

// Failures are what went wrong in a call that asked several.
type Failures struct {
	Errors []error
	asked  int
}

// All reports that nobody gave a useful answer.
func (f *Failures) All() bool { return f.asked > 0 && len(f.Errors) >= f.asked }

// Add takes over the failures of another call about the same thing, and counts whom it asked.
func (f *Failures) Add(other Failures) {
	f.Errors = append(f.Errors, other.Errors...)
	f.asked += other.asked
}

// Texts are the errors, one line each.
func (f *Failures) Texts() []string {
	texts := make([]string, 0, len(f.Errors))
	for _, err := range f.Errors {
		texts = append(texts, err.Error())
	}
	return texts
}

// Text is all errors in nsqadmin's form: joined by newlines.
func (f *Failures) Text() string { return strings.Join(f.Texts(), "\n") }

// each calls ask for all items, at most Concurrency at a time, and waits. What ask returns counts as a failure of its item.
func each[T any](ctx context.Context, c *Client, items []T, ask func(context.Context, int, T) error) Failures {
	var mu sync.Mutex
	failures := Failures{asked: len(items)}
	slotC := make(chan struct{}, c.options.Concurrency)
	var asking sync.WaitGroup
	for i, item := range items {
		slotC <- struct{}{}
		asking.Go(func() {
			defer func() { <-slotC }()
			if err := ask(ctx, i, item); err != nil {
				mu.Lock()
				failures.Errors = append(failures.Errors, err)
				mu.Unlock()
			}
		})
	}
	asking.Wait()
	return failures
}

// Each calls ask for all nodes, at most Options.Concurrency at a time, and waits. What ask returns counts as a failure of its node.
func (c *Client) Each(ctx context.Context, nodes []*Node, ask func(context.Context, int, *Node) error) Failures {
	return each(ctx, c, nodes, ask)
}
