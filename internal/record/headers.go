package record

// DueHeader is the key of the header that defers a record. Its value is the due time: Unix ms, 8 bytes, big-endian.
const DueHeader = "weir.due"

// Headers are a record's headers in their encoded form: key and value pairs in order, of which keys may repeat. The zero
// value holds none. Headers of a decoded record share the batch's bytes.
type Headers struct {
	count int
	raw   []byte // the pairs, without the count; always well-formed
}

// Len returns the number of headers.
func (h Headers) Len() int { return h.count }

// Add returns h with one header more. A nil value is Kafka's null. It may use spare capacity behind h, as append does, so
// only the newest result may be added to.
func (h Headers) Add(key string, value []byte) Headers {
	h.raw = appendVarint(h.raw, int64(len(key)))
	h.raw = append(h.raw, key...)
	if value == nil {
		h.raw = appendVarint(h.raw, -1)
	} else {
		h.raw = appendVarint(h.raw, int64(len(value)))
		h.raw = append(h.raw, value...)
	}
	h.count++
	return h
}

// Find returns the value of the first header with the key. The value shares the record's bytes.
func (h Headers) Find(key string) (value []byte, ok bool) {
	for it := h.Iter(); it.Next(); {
		if string(it.Key()) == key {
			return it.Value(), true
		}
	}
	return nil, false
}

// Iter returns an iterator over the headers. It allocates nothing.
func (h Headers) Iter() HeaderIter { return HeaderIter{rest: h.raw, left: h.count} }

// HeaderIter walks through headers.
type HeaderIter struct {
	rest       []byte
	left       int
	key, value []byte
}

// Next goes to the next header and tells whether there is one.
func (it *HeaderIter) Next() bool {
	if it.left == 0 {
		return false
	}
	it.left--
	key, rest, ok := field(it.rest)
	if !ok || key == nil {
		it.left = 0
		return false
	}
	it.value, it.rest, ok = field(rest)
	it.key = key
	if !ok {
		it.left = 0
	}
	return ok
}

// Key returns the present header's key; it shares the record's bytes.
func (it *HeaderIter) Key() []byte { return it.key }

// Value returns the present header's value, nil for null; it shares the record's bytes.
func (it *HeaderIter) Value() []byte { return it.value }

// parseHeaders reads the count and the pairs that fill p to its end.
func parseHeaders(p []byte) (h Headers, ok bool) {
	count, n := varint(p)
	if n == 0 || count < 0 || count > int64(len(p)-n)/2 {
		return Headers{}, false
	}
	h = Headers{count: int(count), raw: p[n:]}
	it := h.Iter()
	for range h.count {
		if !it.Next() {
			return Headers{}, false
		}
	}
	return h, len(it.rest) == 0
}

// field reads a length and that many bytes; length -1 gives nil.
func field(p []byte) (data, rest []byte, ok bool) {
	size, n := varint(p)
	switch {
	case n == 0 || size < -1 || size > int64(len(p)-n):
		return nil, nil, false
	case size == -1:
		return nil, p[n:], true
	}
	end := n + int(size)
	return p[n:end:end], p[end:], true
}
