package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/weirmq/weir/internal/load"
)

// seriesDeliveries is how many deliveries a load with channels makes, however many channels there are: else thirty of them
// would take thirty times as long.
const seriesDeliveries = 3_000_000

// series returns a load for each value of what grows. Channels grow for consumers that read what is published meanwhile;
// everything else grows for publishers alone.
func (b *bench) series() (loads []load.Load, xs []float64, err error) {
	for _, text := range strings.Split(b.values, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return nil, nil, b.set.Refuse("values", "has "+strconv.Quote(text), "whole numbers from 1 on, with commas")
		}
		l := b.load
		l.Name = fmt.Sprintf("%s=%d", b.over, n)
		switch b.over {
		case "connections":
			l.Connections = n
		case "topics":
			l.Topics = n
		case "channels":
			l.Kind, l.Channels = load.PubSub, n
			if l.Messages == 0 {
				l.Messages = max(seriesDeliveries/int64(n), 1)
			}
		case "body-size":
			l.BodyBytes = n
		default:
			return nil, nil, b.set.Refuse("over", "is missing or unknown", "connections, topics, channels, body-size")
		}
		loads, xs = append(loads, l), append(xs, float64(n))
	}
	return loads, xs, nil
}
