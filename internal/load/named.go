package load

import "time"

// Named returns the loads that have a name, in the order in which `weir bench list` shows them. The letters in a name: c
// connections, w window, mpubN messages in a batch, chN channels, AxB publishers and consumers, latN messages a second; gonsq:
// with the output buffering that the client go-nsq asks for when it is told nothing.
func Named() []Load {
	var loads []Load
	add := func(name string, kind Kind, set func(l *Load)) {
		l := Default()
		l.Name, l.Kind = name, kind
		set(&l)
		loads = append(loads, l)
	}
	add("pub_1c_sync", Pub, func(l *Load) {})
	add("pub_1c_w100", Pub, func(l *Load) { l.Window = 100 })
	add("pub_1c_w1000", Pub, func(l *Load) { l.Window = 1000 })
	add("pub_8c_sync", Pub, func(l *Load) { l.Connections = 8 })
	add("pub_50c_sync", Pub, func(l *Load) { l.Connections = 50 })
	add("pub_8c_w100", Pub, func(l *Load) { l.Connections, l.Window = 8, 100 })
	add("pub_16topics_w100", Pub, func(l *Load) { l.Connections, l.Topics, l.Window = 16, 16, 100 })
	add("mpub200_1c", Pub, func(l *Load) { l.Batch = 200 })
	add("mpub200_4c", Pub, func(l *Load) { l.Connections, l.Batch = 4, 200 })
	add("mpub200_4c_w8", Pub, func(l *Load) { l.Connections, l.Batch, l.Window = 4, 200, 8 })
	add("mpub100_1k_4c", Pub, func(l *Load) { l.Connections, l.Batch, l.BodyBytes = 4, 100, 1024 })
	add("httppub_4c", Pub, func(l *Load) { l.Connections, l.HTTP = 4, true })
	drain := func(subscribers int) func(l *Load) {
		return func(l *Load) {
			l.Subscribers, l.Messages, l.Batch, l.Duration = subscribers, 400_000, 200, 20*time.Second
		}
	}
	add("sub_1c", Sub, drain(1))
	add("sub_4c", Sub, drain(4))
	add("e2e_mpub200_ch1", PubSub, func(l *Load) { l.Batch = 200 })
	add("e2e_mpub200_2x2", PubSub, func(l *Load) { l.Connections, l.Subscribers, l.Batch = 2, 2, 200 })
	add("e2e_mpub200_ch3", PubSub, func(l *Load) { l.Channels, l.Batch, l.Messages = 3, 200, 300_000 })
	add("e2e_mpub200_ch10", PubSub, func(l *Load) { l.Channels, l.Batch, l.Messages = 10, 200, 100_000 })
	add("e2e_pub_w100", PubSub, func(l *Load) { l.Window = 100 })
	for i := range loads { // else the end of a drain waits for the flush timer of stock nsqd: 25 ms is the least it takes
		if loads[i].consumes() {
			loads[i].OutputBufferTimeout = 25
		}
	}
	add("lat10k_default", PubSub, func(l *Load) { l.Rate = 10_000 })
	add("lat10k_gonsq", PubSub, func(l *Load) { l.Rate, l.OutputBufferSize, l.OutputBufferTimeout = 10_000, 16<<10, 250 })
	add("lat10k_obt25", PubSub, func(l *Load) { l.Rate, l.OutputBufferTimeout = 10_000, 25 })
	add("lat10k_nobuf", PubSub, func(l *Load) { l.Rate, l.OutputBufferSize = 10_000, -1 })
	add("lat1k_default", PubSub, func(l *Load) { l.Rate = 1000 })
	add("lat1k_gonsq", PubSub, func(l *Load) { l.Rate, l.OutputBufferSize, l.OutputBufferTimeout = 1000, 16<<10, 250 })
	add("lat1k_nobuf", PubSub, func(l *Load) { l.Rate, l.OutputBufferSize = 1000, -1 })
	return loads
}

// ByName returns the load of that name.
func ByName(name string) (Load, bool) {
	for _, l := range Named() {
		if l.Name == name {
			return l, true
		}
	}
	return Load{}, false
}
