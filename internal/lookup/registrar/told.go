package registrar

import (
	"maps"
	"slices"

	"github.com/weirmq/weir/internal/nsqwire/lookupwire"
)

// told is what a service was told on its connection: topics and their channels.
type told map[string]map[string]bool

// update makes told what the broker has, and returns the commands that tell the difference. Channels go before their topic, as
// nsqd has it: a stock service forgets an ephemeral one only when it is named.
func (known told) update(advertised []Topic) [][]byte {
	var commands [][]byte
	wanted := make(told, len(advertised))
	for _, t := range advertised {
		channels := make(map[string]bool, len(t.Channels))
		for _, channel := range t.Channels {
			channels[channel] = true
		}
		wanted[t.Name] = channels
	}
	for _, topic := range slices.Sorted(maps.Keys(known)) {
		for _, channel := range slices.Sorted(maps.Keys(known[topic])) {
			if !wanted[topic][channel] {
				commands = append(commands, lookupwire.AppendUnregister(nil, topic, channel))
			}
		}
		if wanted[topic] == nil {
			commands = append(commands, lookupwire.AppendUnregister(nil, topic, ""))
		}
	}
	for _, t := range advertised {
		if known[t.Name] == nil && len(t.Channels) == 0 {
			commands = append(commands, lookupwire.AppendRegister(nil, t.Name, ""))
		}
		for _, channel := range t.Channels {
			if !known[t.Name][channel] {
				commands = append(commands, lookupwire.AppendRegister(nil, t.Name, channel))
			}
		}
	}
	clear(known)
	maps.Copy(known, wanted)
	return commands
}
