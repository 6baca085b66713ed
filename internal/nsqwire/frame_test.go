package nsqwire

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

// The golden frames are the protocol: lines may be added, never changed.
func TestFramesMatchGoldenBytes(t *testing.T) {
	id := MessageID([]byte(testID))
	for _, tc := range []struct {
		name  string
		frame []byte
		want  string
	}{
		{"OK", AppendResponse(nil, OK), "00000006 00000000 4f4b"},
		{"heartbeat", AppendResponse(nil, Heartbeat), "0000000f 00000000 5f6865617274626561745f"},
		{"close wait", AppendResponse(nil, CloseWait), "0000000e 00000000 434c4f53455f57414954"},
		{"empty response", AppendResponse(nil, []byte{}), "00000004 00000000"},
		{"error without a reason", AppendError(nil, &Error{Code: CodeBadProtocol}), "00000012 00000001 455f4241445f50524f544f434f4c"},
		{"error", AppendError(nil, Errorf(CodeInvalid, "x %d", 1)), "00000011 00000001 455f494e56414c49442078 2031"},
		{
			"message", AppendMessage(nil, 0x1122334455667788, 3, &id, []byte("body")),
			"00000022 00000002 1122334455667788 0003 30313233343536373839616263646566 626f6479",
		},
	} {
		want, err := hex.DecodeString(strings.ReplaceAll(tc.want, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(tc.frame, want) {
			t.Errorf("%s: %x, want %x", tc.name, tc.frame, want)
		}
	}
}

func TestFramesAreAppended(t *testing.T) {
	id := MessageID([]byte(testID))
	buf := AppendResponse([]byte("before"), OK)
	n := len(buf)
	buf = AppendMessage(buf, 1, 1, &id, []byte("b"))
	if !strings.HasPrefix(string(buf), "before\x00\x00\x00\x06") || len(buf)-n != MessageFrameSize(1) {
		t.Fatalf("got %q", buf)
	}
}

func TestNames(t *testing.T) {
	long := strings.Repeat("a", MaxNameSize)
	good := []string{"a", "A.b_c-9", ".", "..", long, "x#ephemeral", long[:54] + EphemeralSuffix}
	bad := []string{
		"", "a b", "a/b", "a#b", "#ephemeral", "x#ephemeral#ephemeral", "x#ephemera", "é", "a\x00", "a:b", "a@b",
		"a[b", "a`b", "a{b", "a,b", long + "a", long + EphemeralSuffix, long[:55] + EphemeralSuffix, "a\n", "\xff",
	}
	for _, name := range good {
		if !ValidName(name) || !ValidName([]byte(name)) {
			t.Errorf("%q is refused", name)
		}
	}
	for _, name := range bad {
		if ValidName(name) || ValidName([]byte(name)) {
			t.Errorf("%q is accepted", name)
		}
	}
	for c := range 256 {
		want := strings.IndexByte(".-_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", byte(c)) >= 0
		if ValidName([]byte{byte(c)}) != want {
			t.Errorf("byte %q: valid = %v", byte(c), !want)
		}
	}
}

func BenchmarkAppendMessage(b *testing.B) {
	id, body := MessageID([]byte(testID)), make([]byte, 200)
	buf := make([]byte, 0, 64<<10)
	b.SetBytes(int64(MessageFrameSize(len(body))))
	b.ReportAllocs()
	for b.Loop() {
		if cap(buf)-len(buf) < MessageFrameSize(len(body)) {
			buf = buf[:0]
		}
		buf = AppendMessage(buf, 1, 1, &id, body)
	}
}
