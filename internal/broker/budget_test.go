package broker

import (
	"testing"
	"testing/synctest"
)

func TestLargeBatchGetsItsTurnBehindASmallOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(100)
		b.acquire(40)
		admitted := false
		go func() {
			b.acquire(90)
			admitted = true
		}()
		synctest.Wait()
		if admitted {
			t.Fatal("the budget was exceeded")
		}
		b.release(40)
		synctest.Wait()
		if !admitted {
			t.Error("the large batch waits although nothing else does")
			b.freed.Broadcast()
		}
	})
}
