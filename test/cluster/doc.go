// Package cluster holds tests with clusters of real processes: nodes are killed, frozen, stopped, cut off and lose their disks while
// ordinary clients publish and consume. They need the build tag process.
package cluster
