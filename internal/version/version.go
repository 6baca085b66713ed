// Package version is the one place that says which version of Weir this is.
package version

import (
	"fmt"
	"runtime"
)

// Weir is Weir's own version, a semantic version without a leading v.
const Weir = "0.1.0"

// NSQ is what every NSQ surface (IDENTIFY, /info, /stats, --version of the NSQ names) reports: the version of NSQ whose
// behaviour is kept, and as build metadata Weir's own. nsqadmin and the clients parse it as a semantic version.
const NSQ = "1.3.0+weir." + Weir

// NSQTool is the version that the NSQ client tools put into their user agent.
const NSQTool = "1.3.0"

// Line returns the line that `weir version` prints.
func Line() string {
	return fmt.Sprintf("weir v%s (NSQ %s, built w/%s)", Weir, NSQ, runtime.Version())
}

// NSQLine returns the line that an NSQ daemon or tool prints for --version: the program's name, and the version as NSQ's
// own programs write it.
func NSQLine(program string) string {
	return fmt.Sprintf("%s v%s (built w/%s)", program, NSQ, runtime.Version())
}
