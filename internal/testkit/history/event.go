package history

// Kind says what happened. The letters are those of the file form.
type Kind byte

// Events of publishers. Due of Sent is the Unix time in ns before which the message must not be delivered, 0 for at once.
const (
	Sent     Kind = 'S' // the bytes were handed to the socket, or are about to be
	Answered Kind = 'A' // the broker said OK
	Refused  Kind = 'R' // the broker said no: the message must never appear
	Unknown  Kind = 'U' // the connection ended before an answer
)

// Events of consumers.
const (
	Delivered      Kind = 'D' // received by a consumer
	Foreign        Kind = 'X' // received, but not a message of this run, or damaged
	Finished       Kind = 'F' // FIN sent, or about to be
	FinishFailed   Kind = 'f' // the broker answered that FIN with an error
	FinishRecorded Kind = 'C' // the test knows by other means that the finish is in the log
	Requeued       Kind = 'Q' // REQ sent, or about to be; Due is the time before which it must not come back
	RequeueFailed  Kind = 'q' // the broker answered that REQ with an error
	Disconnected   Kind = 'L' // a consumer of the channel lost or closed its connection: its last commands may be lost
)

// Events of the broker's process, recorded just before the signal is sent.
const (
	Killed  Kind = 'K' // kill -9
	Stopped Kind = 'T' // a clean stop
)

// Event is one thing that happened, 32 bytes. Channel is an index into History.Channels.
type Event struct {
	At       int64 // Unix ns
	Due      int64 // Unix ns; of Sent and Requeued
	Key      Key
	Channel  uint16
	Attempts uint16 // of Delivered
	Kind     Kind
}

// History is everything that a run recorded. The order of events of one publisher's messages among equal times is that of
// recording; otherwise order is by At.
type History struct {
	Channels []string
	Events   []Event
}

// Merge joins the histories of several recorders (of several processes) of one run. The inputs stay as they are.
func Merge(parts ...*History) *History {
	all := &History{}
	for _, h := range parts {
		index := make([]uint16, len(h.Channels))
		for i, name := range h.Channels {
			index[i] = all.channel(name)
		}
		for _, e := range h.Events {
			if e.Kind.ofChannel() {
				e.Channel = index[e.Channel]
			}
			all.Events = append(all.Events, e)
		}
	}
	return all
}

// channel returns the index of a name, which is added if it is new.
func (h *History) channel(name string) uint16 {
	for i, n := range h.Channels {
		if n == name {
			return uint16(i)
		}
	}
	h.Channels = append(h.Channels, name)
	return uint16(len(h.Channels) - 1)
}

// ofChannel tells whether events of the kind belong to a channel.
func (k Kind) ofChannel() bool {
	switch k {
	case Delivered, Foreign, Finished, FinishFailed, FinishRecorded, Requeued, RequeueFailed, Disconnected:
		return true
	}
	return false
}

// ofMessage tells whether events of the kind belong to one message.
func (k Kind) ofMessage() bool {
	switch k {
	case Foreign, Disconnected, Killed, Stopped:
		return false
	}
	return true
}
