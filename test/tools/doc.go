// Package tools runs the NSQ tools and the import and export of data as processes, beside weir and beside stock nsqd, and kills them,
// fills their disks and fails their destinations. It needs the build tag process.
package tools
