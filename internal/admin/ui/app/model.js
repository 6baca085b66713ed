// The shapes that the server sends (docs/openapi.yaml has them exactly), as far as pages look at them. Times end in _ms and are Unix
// milliseconds, sizes are bytes, rates are messages a second.

/** @typedef {{in: number, out: number, requeued: number, timed_out: number}} Rates */

/**
 * @typedef {object} Totals
 * @property {number} topics
 * @property {number} channels
 * @property {number} clients
 * @property {number} depth
 * @property {number} in_flight
 * @property {number} deferred
 * @property {number} messages published since the nodes started
 */

/** @typedef {{total_bytes: number, free_bytes: number, used_bytes: number, full_in_s: number | null, node?: string}} Disk */

/** @typedef {{count: number, p50_ms: number, p99_ms: number, max_ms: number, node?: string}} SyncLatency */

/**
 * @typedef {object} Overview
 * @property {number} time_ms
 * @property {Totals} totals
 * @property {Rates} rates
 * @property {number} nodes_up
 * @property {number} nodes_down
 * @property {string[]} unhealthy
 * @property {number} lookupds_up
 * @property {number} lookupds_down
 * @property {Disk | null} disk of the node whose disk is full first
 * @property {SyncLatency | null} sync_latency of the slowest node
 * @property {string[]} warnings
 */

/**
 * @typedef {object} ChannelSummary
 * @property {string} channel
 * @property {boolean} paused
 * @property {number} depth
 * @property {number} in_flight
 * @property {number} deferred
 * @property {number} messages
 * @property {number} requeued
 * @property {number} timed_out
 * @property {number} dropped
 * @property {number} lost
 * @property {boolean} full
 * @property {number} clients
 * @property {Rates} rates
 */

/**
 * A node's part of a topic.
 * @typedef {object} TopicNode
 * @property {string} node
 * @property {boolean} weir
 * @property {boolean} paused
 * @property {number} depth
 * @property {number} messages
 * @property {number} bytes
 * @property {number} channels
 * @property {Rates} rates
 * @property {boolean} tombstoned
 */

/**
 * @typedef {object} TopicEvent
 * @property {string} topic
 * @property {boolean} missing
 * @property {boolean} paused
 * @property {Totals} totals
 * @property {number} bytes
 * @property {Rates} rates
 * @property {ChannelSummary[]} channels
 * @property {TopicNode[]} nodes
 * @property {string[]} warnings
 */

/**
 * @typedef {object} Consumer
 * @property {string} node
 * @property {string} client_id
 * @property {string} hostname
 * @property {string} remote_address
 * @property {string} user_agent
 * @property {number} ready
 * @property {number} in_flight
 * @property {number} messages
 * @property {number} finished
 * @property {number} requeued
 * @property {number} connected_ms
 * @property {number} [sample_rate] percent
 * @property {boolean} [tls]
 * @property {boolean} [deflate]
 * @property {boolean} [snappy]
 */

/** @typedef {{node: string, weir: boolean, channel: ChannelSummary}} ChannelNode */

/**
 * @typedef {object} ChannelEvent
 * @property {string} topic
 * @property {boolean} missing
 * @property {ChannelSummary} channel
 * @property {ChannelNode[]} nodes
 * @property {Consumer[]} consumers
 * @property {string[]} warnings
 */

/**
 * @typedef {object} AdminNode
 * @property {string} node host:http_port, names the node in addresses
 * @property {boolean} up
 * @property {string} error
 * @property {boolean} weir
 * @property {string} version
 * @property {boolean} out_of_date
 * @property {boolean} [healthy]
 * @property {string} [health]
 * @property {string} hostname
 * @property {string} broadcast_address
 * @property {number} tcp_port
 * @property {number} http_port
 * @property {string} [topology_region]
 * @property {string} [topology_zone]
 * @property {number} [started_ms]
 * @property {string[]} lookupds
 * @property {string[]} tombstones
 * @property {Totals} totals
 * @property {Rates} rates
 * @property {Disk} [disk]
 * @property {SyncLatency} [sync_latency]
 * @property {number} [heap_bytes]
 * @property {string} [sync]
 */

/** @typedef {{nodes: AdminNode[], lookupds: {address: string, up: boolean, error: string}[], warnings: string[]}} Nodes */

/**
 * A member of the cluster.
 * @typedef {object} ClusterNode
 * @property {string} cluster
 * @property {number} id
 * @property {string} node host:http_port
 * @property {string} name
 * @property {"up" | "stopping" | "down"} state
 * @property {string} problem
 * @property {number} leads
 * @property {number} should_lead
 * @property {number} replicas
 * @property {number} worst_lag entries
 */

/** @typedef {{node: string, lag: number | null, state: string, active: boolean}} Replica */

/**
 * A partition as its leader sees it; the catalog's has no topic.
 * @typedef {object} Partition
 * @property {string} key
 * @property {string} topic
 * @property {number} partition
 * @property {string} leader
 * @property {string} preferred
 * @property {Replica[]} replicas
 * @property {string} problem
 */

/** @typedef {{enabled: boolean, nodes: ClusterNode[], partitions: Partition[], warnings: string[]}} ClusterEvent */

/** @typedef {(number | null)[]} Series */

/**
 * The last hour in equal steps; the last point ends at end_ms.
 * @typedef {object} History
 * @property {number} end_ms
 * @property {number} step_ms
 * @property {Series} in
 * @property {Series} out
 * @property {Series} requeued
 * @property {Series} timed_out
 * @property {Series} depth
 * @property {Series} in_flight
 * @property {Series} deferred
 * @property {Series} [sync_p99_ms]
 * @property {Series} [disk_free_bytes]
 */

/**
 * A message of a topic's log; in a channel also what the channel knows of it.
 * @typedef {object} Message
 * @property {number} partition
 * @property {number} offset
 * @property {string} id
 * @property {number} time_ms
 * @property {number} [due_ms]
 * @property {string} [key] base64
 * @property {{name: string, value: string}[]} [headers] values in base64
 * @property {number} size
 * @property {string} body base64
 * @property {boolean} truncated
 * @property {"waiting" | "in_flight" | "deferred"} [state]
 * @property {number} [attempts]
 * @property {{client_id: string, remote_address: string, hostname: string}} [consumer]
 * @property {number} [delivered_ms]
 * @property {number} [deadline_ms]
 */

export {};
