package broker

import (
	"errors"
	"sync"
)

// openLogsAtOnce bounds how many logs are opened or closed at the same time: enough to keep a disk busy.
const openLogsAtOnce = 16

// inParallel runs do for each item, some at a time, and joins the errors.
func inParallel[T any](items []T, do func(T) error) error {
	var wg sync.WaitGroup
	errs := make([]error, len(items))
	slots := make(chan struct{}, openLogsAtOnce)
	for i, item := range items {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			errs[i] = do(item)
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
