package registrar

import (
	"maps"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/weirmq/weir/internal/nsqwire/lookupwire"
)

// obey does to a service what a command says.
func obey(t *rapid.T, service map[string]map[string]bool, command []byte) {
	var cmd lookupwire.Command
	if n, _, err := lookupwire.Parse(command, &cmd); err != nil || n != len(command) {
		t.Fatalf("%q: %v", command, err)
	}
	switch {
	case cmd.Verb == lookupwire.REGISTER:
		if service[cmd.Topic] == nil {
			service[cmd.Topic] = map[string]bool{}
		}
		if cmd.Channel != "" {
			service[cmd.Topic][cmd.Channel] = true
		}
	case cmd.Channel != "":
		if !service[cmd.Topic][cmd.Channel] {
			t.Fatalf("%q of what is not there", command)
		}
		delete(service[cmd.Topic], cmd.Channel)
	default:
		if len(service[cmd.Topic]) > 0 {
			t.Fatalf("%q before its channels", command)
		}
		delete(service, cmd.Topic)
	}
}

func TestUpdateTellsTheDifferenceAndNoMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		known := make(told)
		service := map[string]map[string]bool{}
		for range 5 {
			wanted := map[string]map[string]bool{}
			var advertised []Topic
			for _, topic := range rapid.SliceOfDistinct(rapid.SampledFrom([]string{"a", "b", "c#ephemeral"}), rapid.ID).Draw(t, "topics") {
				channels := rapid.SliceOfDistinct(rapid.SampledFrom([]string{"x", "y", "z#ephemeral"}), rapid.ID).Draw(t, "channels")
				advertised = append(advertised, Topic{topic, channels})
				wanted[topic] = map[string]bool{}
				for _, channel := range channels {
					wanted[topic][channel] = true
				}
			}
			for _, command := range known.update(advertised) {
				obey(t, service, command)
			}
			if !maps.EqualFunc(service, wanted, maps.Equal) {
				t.Fatalf("the service knows %v, the broker has %v", service, wanted)
			}
			if again := known.update(advertised); len(again) > 0 || !reflect.DeepEqual(map[string]map[string]bool(known), wanted) {
				t.Fatalf("told again: %q", again)
			}
		}
	})
}
