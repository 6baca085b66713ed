package registrar

import (
	"maps"
	"slices"

	"github.com/weirmq/weir/internal/nsqwire/lookupwire"
)

// told is what a service was told on its connection: topics and their channels.
type told map[string]map[string]bool

// update makes told what the broker has, and returns the commands that tell the difference. Of a topic that goes, the channels go first,
// as nsqd has it: a stock service forgets an ephemeral one only when it is named.
func (known told) update(advertised []Topic) [][]byte {
	var commands [][]byte
	for _, t := range advertised {
		channels := known[t.Name]
		if channels == nil {
			channels = make(map[string]bool, len(t.Channels))
			known[t.Name] = channels
			if len(t.Channels) == 0 {
				commands = append(commands, lookupwire.AppendRegister(nil, t.Name, ""))
			}
		}
		for _, channel := range t.Channels {
			if !channels[channel] {
				channels[channel] = true
				commands = append(commands, lookupwire.AppendRegister(nil, t.Name, channel))
			}
		}
		if len(channels) > len(t.Channels) {
			commands = known.dropChannels(commands, t.Name, t.Channels)
		}
	}
	if len(known) > len(advertised) {
		commands = known.dropTopics(commands, advertised)
	}
	return commands
}

// dropChannels forgets the channels of a topic but those that are left, and appends the commands that tell so.
func (known told) dropChannels(commands [][]byte, topic string, left []string) [][]byte {
	for _, channel := range slices.Sorted(maps.Keys(known[topic])) {
		if !slices.Contains(left, channel) {
			delete(known[topic], channel)
			commands = append(commands, lookupwire.AppendUnregister(nil, topic, channel))
		}
	}
	return commands
}

// dropTopics forgets the topics but those that are left, and appends the commands that tell so.
func (known told) dropTopics(commands [][]byte, left []Topic) [][]byte {
	there := make(map[string]bool, len(left))
	for _, t := range left {
		there[t.Name] = true
	}
	for _, topic := range slices.Sorted(maps.Keys(known)) {
		if !there[topic] {
			commands = known.dropChannels(commands, topic, nil)
			delete(known, topic)
			commands = append(commands, lookupwire.AppendUnregister(nil, topic, ""))
		}
	}
	return commands
}
