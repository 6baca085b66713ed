package nsqhttp

import (
	"context"
	"errors"
	"net/http"

	"github.com/weirmq/weir/internal/broker"
)

// apiError is an answer other than 200: a status, and a word that programs compare.
type apiError struct {
	status int
	word   string
}

func (e *apiError) Error() string { return e.word }

// brokerErrors translates the broker's errors. What is not here is 500 INTERNAL_ERROR and goes to the log.
var brokerErrors = []struct {
	err    error
	answer apiError
}{
	{broker.ErrTopicNotFound, apiError{http.StatusNotFound, "TOPIC_NOT_FOUND"}},
	{broker.ErrChannelNotFound, apiError{http.StatusNotFound, "CHANNEL_NOT_FOUND"}},
	{broker.ErrBadTopicName, apiError{http.StatusBadRequest, "INVALID_TOPIC"}},
	{broker.ErrBadChannelName, apiError{http.StatusBadRequest, "INVALID_ARG_CHANNEL"}},
	{broker.ErrClosed, apiError{http.StatusServiceUnavailable, "EXITING"}},
	{broker.ErrNotLeader, apiError{http.StatusServiceUnavailable, "NOT_LEADER"}},
	{broker.ErrFull, apiError{http.StatusServiceUnavailable, "DISK_FULL"}},
	{broker.ErrTooManyDeferred, apiError{http.StatusServiceUnavailable, "TOO_MANY_DEFERRED"}},
	{broker.ErrUnknown, apiError{http.StatusInternalServerError, "OUTCOME_UNKNOWN"}},
	{broker.ErrFailed, apiError{http.StatusInternalServerError, "LOG_FAILED"}},
}

// writeError answers with an error in nsqd's form.
func (s *Server) writeError(w http.ResponseWriter, err error) {
	answer := s.translate(err)
	s.writeJSON(w, answer.status, struct {
		Message string `json:"message"`
	}{answer.word})
}

// translate finds the answer for an error.
func (s *Server) translate(err error) *apiError {
	var answer *apiError
	if errors.As(err, &answer) {
		return answer
	}
	for i := range brokerErrors {
		if errors.Is(err, brokerErrors[i].err) {
			return &brokerErrors[i].answer
		}
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return &apiError{http.StatusInternalServerError, "OUTCOME_UNKNOWN"} // the client is gone; nobody reads this
	}
	s.options.Logger.Error("request failed", "error", err)
	return &apiError{http.StatusInternalServerError, "INTERNAL_ERROR"}
}
