package load

import (
	"bytes"
	"fmt"
	"net/textproto"
	"strconv"

	"github.com/weirmq/weir/internal/nsqwire"
)

// maxResponseHead bounds the head of a response, in bytes.
const maxResponseHead = 16 << 10

// requestHead returns the head of a POST with a body of size bytes.
func requestHead(host, path string, size int) []byte {
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n", path, host, size)
}

// nextResponse takes an HTTP response that was read whole, as the frame that an answer to a command would be.
func (c *conn) nextResponse() (frame, bool, error) {
	got := c.buf[c.start:c.end]
	head, _, ok := bytes.Cut(got, []byte("\r\n\r\n"))
	if !ok {
		if c.need = len(got) + 1; c.need > maxResponseHead {
			return frame{}, false, fmt.Errorf("an HTTP response with a head of more than %d bytes", maxResponseHead)
		}
		return frame{}, false, nil
	}
	status, fields, _ := bytes.Cut(head, []byte("\r\n"))
	length, ok := contentLength(fields)
	if !ok || length > maxFrame {
		return frame{}, false, fmt.Errorf("HTTP response %q tells no length", status)
	}
	body := len(head) + 4
	if c.need = body + length; len(got) < c.need {
		return frame{}, false, nil
	}
	c.start += c.need
	if data := got[body:c.need]; bytes.HasPrefix(status, []byte("HTTP/1.1 200 ")) {
		return frame{nsqwire.FrameResponse, data}, true, nil
	}
	return frame{nsqwire.FrameError, fmt.Appendf(nil, "%s: %s", status, got[body:c.need])}, true, nil
}

// contentLength finds the length of a body in the fields of a head.
func contentLength(fields []byte) (int, bool) {
	for line := range bytes.SplitSeq(fields, []byte("\r\n")) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		if textproto.CanonicalMIMEHeaderKey(string(name)) == "Content-Length" {
			n, err := strconv.Atoi(string(bytes.TrimSpace(value)))
			return n, err == nil && n >= 0
		}
	}
	return 0, false
}
