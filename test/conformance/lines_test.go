//go:build process

package conformance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// messageID is the form of a message id: lower-case hexadecimal.
var messageID = regexp.MustCompile(`\b[0-9a-f]{16}\b`)

// idName names a message by its order of appearance in the conversation.
func (c *client) idName(id string) string {
	if !messageID.MatchString(id) {
		return fmt.Sprintf("id of another form %q", id)
	}
	if c.ids[id] == 0 {
		c.ids[id] = len(c.ids) + 1
	}
	return fmt.Sprintf("#%d", c.ids[id])
}

// withoutIDs replaces the ids of messages that the conversation has seen by their names.
func (c *client) withoutIDs(text string) string {
	return messageID.ReplaceAllStringFunc(text, func(id string) string {
		if n := c.ids[id]; n > 0 {
			return fmt.Sprintf("#%d", n)
		}
		return id
	})
}

// responseLine describes a response frame: as lines of JSON if it is an object, else as text.
func (n *conn) responseLine(data []byte) string {
	if !bytes.HasPrefix(data, []byte("{")) {
		return fmt.Sprintf("response %q", data)
	}
	n.client.note("%s< response in JSON", n.name)
	lines := jsonLines(data)
	for _, line := range lines {
		n.client.note("%s    %s", n.name, line)
	}
	return "end of JSON"
}

// jsonLines gives JSON as one line for each value, in the order of the text: "topics[0].depth = 3". What differs between runs
// is replaced by its type.
func jsonLines(data []byte) []string {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var lines []string
	if err := walkJSON(d, "", &lines); err != nil {
		return append(lines, fmt.Sprintf("not JSON (%v): %q", err, data))
	}
	if d.InputOffset() != int64(len(data)) {
		lines = append(lines, fmt.Sprintf("after the JSON: %q", data[d.InputOffset():]))
	}
	return lines
}

func walkJSON(d *json.Decoder, path string, lines *[]string) error {
	token, err := d.Token()
	if err != nil {
		return err
	}
	delim, ok := token.(json.Delim)
	if !ok {
		*lines = append(*lines, valueLine(path, token))
		return nil
	}
	*lines = append(*lines, path+" "+delim.String())
	for i := 0; d.More(); i++ {
		below := fmt.Sprintf("%s[%d]", path, i)
		if delim == '{' {
			key, err := d.Token()
			if err != nil {
				return err
			}
			below = strings.TrimPrefix(fmt.Sprintf("%s.%s", path, key), ".")
		}
		if err := walkJSON(d, below, lines); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}

// unsteady lists the values that differ between runs, by their paths.
var unsteady = regexp.MustCompile(`^(memory\..*|.*start_time|.*last_update|.*tombstoned_at|.*connect_ts|http_port|tcp_port|.*percentiles\[\d\]\.value)$`)

// peer is the address of a client.
var peer = regexp.MustCompile(`^127\.0\.0\.1:\d+$`)

func valueLine(path string, value any) string {
	switch v := value.(type) {
	case string:
		if peer.MatchString(v) {
			v = "127.0.0.1:PORT"
		}
		return fmt.Sprintf("%s = %q", path, withoutBuild(v))
	case json.Number:
		if unsteady.MatchString(path) && !strings.ContainsAny(v.String(), ".eE-") {
			return path + " = whole number"
		}
	}
	return fmt.Sprintf("%s = %v", path, value)
}

// buildMark is what stands behind NSQ's version in Weir's.
var buildMark = regexp.MustCompile(`\+weir\.[0-9A-Za-z.-]+`)

func withoutBuild(text string) string { return buildMark.ReplaceAllString(text, "+weir.X") }
