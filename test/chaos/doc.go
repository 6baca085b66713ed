// Package chaos disturbs clusters of real processes and proves that they keep their promises. It needs the build tag process and root.
//
// Every node runs on a machine of its own: a network namespace with one address, whose packets go through this program, which
// delivers, delays, reorders or drops them by pair and direction (wire, link). Nothing of the host's network is touched: the test
// binary runs itself again in namespaces of its own (TestMain), and the kernel takes everything away when it ends, however it ends.
//
//	clients ─── tun ┐
//	node 1  ─── tun ┤ wire: who reaches whom, how fast, how surely
//	node 2  ─── tun ┤
//	node 3  ─── tun ┘
//
// A round forms one cluster of three to five nodes and runs scenarios on it, drawn from a seed: cuts of the network, slow and lossy
// links, kill -9, SIGSTOP, stops, full, wiped, damaged and outdated disks. Publishers and consumers of NSQ's protocol go on
// throughout, and the history checker judges the round at its end. What a scenario may disturb, it declares; what is
// finished at any other time must stay finished.
package chaos
