package nsqhttp

import (
	"context"
	"errors"
	"net/http"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/httpdoor"
)

// brokerErrors translates the broker's errors. What is not here is 500 INTERNAL_ERROR and goes to the log.
var brokerErrors = []struct {
	err    error
	answer *httpdoor.Error
}{
	{broker.ErrTopicNotFound, httpdoor.NewError(http.StatusNotFound, "TOPIC_NOT_FOUND")},
	{broker.ErrChannelNotFound, httpdoor.NewError(http.StatusNotFound, "CHANNEL_NOT_FOUND")},
	{broker.ErrBadTopicName, httpdoor.NewError(http.StatusBadRequest, "INVALID_TOPIC")},
	{broker.ErrBadChannelName, httpdoor.NewError(http.StatusBadRequest, "INVALID_ARG_CHANNEL")},
	{broker.ErrClosed, httpdoor.NewError(http.StatusServiceUnavailable, "EXITING")},
	{broker.ErrNotLeader, httpdoor.NewError(http.StatusServiceUnavailable, "NOT_LEADER")},
	{broker.ErrNoLeader, httpdoor.NewError(http.StatusServiceUnavailable, "NO_LEADER")},
	{broker.ErrFull, httpdoor.NewError(http.StatusServiceUnavailable, "DISK_FULL")},
	{broker.ErrTooManyDeferred, httpdoor.NewError(http.StatusServiceUnavailable, "TOO_MANY_DEFERRED")},
	{broker.ErrUnknown, httpdoor.NewError(http.StatusInternalServerError, "OUTCOME_UNKNOWN")},
	{broker.ErrFailed, httpdoor.NewError(http.StatusInternalServerError, "LOG_FAILED")},
}

// translate finds the answer for an error of the broker; nil if there is none.
func translate(err error) *httpdoor.Error {
	for i := range brokerErrors {
		if errors.Is(err, brokerErrors[i].err) {
			return brokerErrors[i].answer
		}
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return httpdoor.NewError(http.StatusInternalServerError, "OUTCOME_UNKNOWN") // the client is gone; nobody reads this
	}
	return nil
}
