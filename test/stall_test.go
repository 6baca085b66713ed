//go:build process

package test

func playConsumer() error { return nil }
