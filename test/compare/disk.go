package main

import (
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// diskServer is no server: the bare disk, which bounds what one message at a time can reach when each waits for its sync.
func diskServer() server {
	return server{name: "disk", missing: func() string { return "" }, start: func(dir string) (running, error) {
		file, err := os.OpenFile(filepath.Join(dir, "blocks"), os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return nil, err
		}
		d := &disk{file}
		if err := d.fill(); err != nil {
			file.Close()
			return nil, err
		}
		return d, nil
	}}
}

// disk is a file whose blocks were written before.
type disk struct{ *os.File }

const diskBytes, recordBytes = 64 << 20, 512

func (d *disk) fill() error {
	block := make([]byte, 1<<20)
	for at := int64(0); at < diskBytes; at += int64(len(block)) {
		if _, err := d.WriteAt(block, at); err != nil {
			return err
		}
	}
	return d.Sync()
}

func (d *disk) pid() int    { return 0 }
func (d *disk) stop() error { return d.Close() }

func (d *disk) can(l load) bool { return l.name == "pub_1c_sync" }

// measure writes 512 bytes behind one another, each followed by fdatasync.
func (d *disk) measure(_ load, duration time.Duration) (m measurement, err error) {
	record := make([]byte, recordBytes)
	var times []time.Duration
	began := time.Now()
	for begun := began; begun.Sub(began) < duration; {
		if _, err := d.WriteAt(record, m.Messages*recordBytes%diskBytes); err != nil {
			return m, err
		}
		if err := syscall.Fdatasync(int(d.Fd())); err != nil {
			return m, err
		}
		now := time.Now()
		times, begun = append(times, now.Sub(begun)), now
		m.Messages++
	}
	m.Rate, m.Syncs = float64(m.Messages)/time.Since(began).Seconds(), m.Messages
	m.P50, m.P99 = quantiles(times)
	return m, nil
}
