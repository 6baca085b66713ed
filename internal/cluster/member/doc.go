// Package member is what a node knows of itself and its cluster across restarts: the file `cluster` of its data directory
// (docs/format/cluster.md), and how that file comes to be, which is called forming.
//
// # Forming
//
// Every machine is started with the same --join list, which names all nodes by their gossip addresses. When the first node of
// the list sees by gossip that all are there, with the same list and without a cluster, it draws the cluster's id, numbers the
// nodes by the list, and asks each for a promise. A node promises one cluster only, durably, and only if the list is its own and
// its directory holds no messages. The cluster is formed by the first node's durable record that all have promised: from
// then on its gossip says so, and a node that has promised and sees this records it too.
//
// So there is never a second cluster: each needs the promise of every node on its list, and a promise is given once. A crash at
// any step leaves a promise, which the next start resumes. A node that is late, or was started with another list, delays the
// forming and is named in the log; so does a node that belongs to another cluster.
//
// The package does no networking: it is handed a Gossip.
package member
