package main

import (
	"bytes"
	"fmt"
	"testing"
)

func TestALogLineTakesThePlaceOfTheProgress(t *testing.T) {
	var screen bytes.Buffer
	fmt.Fprint(&screen, "\rtool: 17 done ")
	if n, err := (overProgress{&screen}).Write([]byte("a line\n")); n != 7 || err != nil {
		t.Errorf("wrote %d, %v", n, err)
	}
	if got := screen.String(); got != "\rtool: 17 done \r\x1b[Ka line\n" {
		t.Errorf("got %q", got)
	}
}
