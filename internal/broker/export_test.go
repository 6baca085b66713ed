package broker

// LogSegments returns how many segments a topic's log has.
func (b *Broker) LogSegments(topic string) int {
	t, ok := b.Topic(topic)
	if !ok {
		return 0
	}
	return len(t.parts[0].log.Segments())
}

// CatalogSegments returns how many segments the catalog's log has.
func (b *Broker) CatalogSegments() int { return len(b.catalogLog.Segments()) }
