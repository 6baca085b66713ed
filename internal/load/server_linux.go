package load

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// useOf reads /proc/PID/stat.
func useOf(pid int) (processUse, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return processUse{}, err
	}
	// The fields after the program's name, which stands in brackets and may hold anything; the state is number 0 of them.
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	const user, system, rss, ticksPerSecond = 11, 12, 21, 100
	var values [rss + 1]int64
	for _, i := range []int{user, system, rss} {
		if i >= len(fields) {
			return processUse{}, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields))
		}
		if values[i], err = strconv.ParseInt(string(fields[i]), 10, 64); err != nil {
			return processUse{}, err
		}
	}
	return processUse{
		rssBytes:   values[rss] * int64(os.Getpagesize()),
		cpuSeconds: float64(values[user]+values[system]) / ticksPerSecond,
	}, nil
}
