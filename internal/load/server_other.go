//go:build !linux

package load

import "errors"

// useOf is not to be had.
func useOf(int) (processUse, error) { return processUse{}, errors.ErrUnsupported }
