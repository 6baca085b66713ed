// One node: how it is, the last hour, its topics and their channels, its partitions in a cluster.
import { html } from "../html.js";
import { get, pathOf } from "../api.js";
import { tombstone } from "../actions.js";
import { PartitionTable } from "../cluster.js";
import { Meter, fullIn } from "../disk.js";
import { bytes, duration, moment, rate, relative, short } from "../format.js";
import { HistoryCharts } from "../history.js";
import { useWatched } from "../live.js";
import { Whole, useLoaded } from "../load.js";
import { Link, address, usePlace } from "../router.js";
import { useMayChange } from "../session.js";
import { PageHead } from "../shell.js";
import { Table } from "../table.js";
import { Tabs, Tile } from "../tiles.js";
import { healthText } from "./nodes.js";

/** @typedef {import("../model.js").AdminNode} AdminNode */

/** A topic as nsqadmin's API has it for one node. @typedef {{topic_name: string, depth: number, message_count: number, paused: boolean, channels: {depth: number, in_flight_count: number, clients?: unknown[] | null}[] | null}} NodeTopic */

/** @param {{node: string}} props */
export function NodePage({ node }) {
	const loaded = useWatched("nodes");
	const cluster = useWatched("cluster");
	const tab = usePlace().query.get("tab") ?? "topics";
	/** @type {AdminNode | undefined} */
	const n = loaded.data?.nodes.find((/** @type {AdminNode} */ each) => each.node === node);
	return html`<${PageHead} title=${n?.hostname || node} kind=${node} above=${[["Nodes", address("nodes")]]}
			badges=${n ? html`<span class=${`badge ${!n.up ? "bad" : n.healthy === false ? "warn" : ""}`}>${healthText(n)}</span>` : null} />
		<${Whole} loaded=${loaded} what="node">${n && !n.up ? html`
			<p class="notice bad" role="alert">This node does not answer: ${n.error || "nobody knows why"}.</p>
			<${Facts} node=${n} />` : n ? html`
			<div class="tiles">
				<${Tile} name="In" value=${rate(n.rates.in)} unit="/s" />
				<${Tile} name="Out" value=${rate(n.rates.out)} unit="/s" />
				<${Tile} name="Depth" value=${short(n.totals.depth)} />
				<${Tile} name="In flight" value=${short(n.totals.in_flight)} />
				<${Tile} name="Consumers" value=${short(n.totals.clients)} />
				${n.sync_latency ? html`<${Tile} name="Sync p99" value=${n.sync_latency.count > 0 ? duration(n.sync_latency.p99_ms / 1000) : "–"} note=${n.sync ? `--sync=${n.sync}` : ""} />` : null}
				${n.disk ? html`<${Tile} name="Disk free" value=${bytes(n.disk.free_bytes)} note=${html`<${Meter} disk=${n.disk} />${fullIn(n.disk)}`} />` : null}
				${n.heap_bytes ? html`<${Tile} name="Heap" value=${bytes(n.heap_bytes)} />` : null}
			</div>
			<${Facts} node=${n} />
			<${Tabs} param="tab" current=${tab} tabs=${/** @type {[string, string][]} */ ([["topics", `Topics (${n.totals.topics})`], ...(n.weir ? [["history", "Last hour"]] : []), ...(cluster.data?.enabled ? [["partitions", "Partitions"]] : [])])} />
			${tab === "topics" ? html`<${Topics} node=${node} tombstones=${n.tombstones} />` : null}
			${tab === "history" ? html`<${HistoryCharts} of=${{ node }} />` : null}
			${tab === "partitions" ? html`<${Partitions} node=${node} all=${cluster.data?.partitions ?? []} />` : null}`
			: html`<div class="panel blank"><h2>No such node</h2><p>${node} is not known: it may have left, or never registered with a lookup service.</p></div>`}
		<//>`;
}

/**
 * The partitions that the node holds a replica of.
 * @param {{node: string, all: import("../model.js").Partition[]}} props
 */
function Partitions({ node, all }) {
	return html`<${PartitionTable} partitions=${all.filter((p) => p.replicas.some((r) => r.node === node))} empty="This node holds no partition." />`;
}

/**
 * What is known of a node, whether it answers or not.
 * @param {{node: AdminNode}} props
 */
function Facts({ node: n }) {
	return html`<dl class="facts section">
		<div><dt>Version</dt><dd>${n.version || "–"}${n.out_of_date ? html` <span class="badge warn">older than another node's</span>` : null}</dd></div>
		<div><dt>TCP, HTTP</dt><dd>${n.broadcast_address}:${n.tcp_port}, ${n.http_port}</dd></div>
		<div><dt>Started</dt><dd title=${moment(n.started_ms)}>${relative(n.started_ms)}</dd></div>
		${n.topology_zone || n.topology_region ? html`<div><dt>Region, zone</dt><dd>${n.topology_region || "–"}, ${n.topology_zone || "–"}</dd></div>` : null}
		<div><dt>Listed by lookup</dt><dd>${n.lookupds.join(", ") || "–"}</dd></div>
	</dl>`;
}

/** @param {{node: string, tombstones: string[]}} props */
function Topics({ node, tombstones }) {
	const loaded = useLoaded(() => get(`api/nodes/${pathOf(node)}`), [node], 3000);
	const mayChange = useMayChange();
	/** @param {NodeTopic} t @param {"depth" | "in_flight_count"} field */
	const sum = (t, field) => (t.channels ?? []).reduce((n, c) => n + c[field], 0);
	/** @type {import("../table.js").Column<NodeTopic>[]} */
	const columns = [
		{
			key: "name", title: "Topic", value: (t) => t.topic_name,
			cell: (t) => html`<${Link} href=${address("topics", t.topic_name)}>${t.topic_name}<//>${t.paused ? html` <span class="badge warn">paused</span>` : null}${tombstones.includes(t.topic_name) ? html` <span class="badge warn">tombstoned</span>` : null}`,
		},
		{ key: "depth", title: "Depth", number: true, value: (t) => t.depth + sum(t, "depth"), cell: (t) => short(t.depth + sum(t, "depth")) },
		{ key: "inflight", title: "In flight", number: true, value: (t) => sum(t, "in_flight_count") },
		{ key: "messages", title: "Messages", number: true, wide: true, value: (t) => t.message_count },
		{ key: "channels", title: "Channels", number: true, value: (t) => t.channels?.length ?? 0 },
		{ key: "clients", title: "Consumers", number: true, wide: true, value: (t) => (t.channels ?? []).reduce((n, c) => n + (c.clients?.length ?? 0), 0) },
	];
	if (mayChange) {
		columns.push({ key: "do", title: "", number: true, wide: true, value: () => 0, cell: (t) => html`<button class="button small dangerous" onClick=${() => tombstone(t.topic_name, node, loaded.reload)}>Tombstone</button>` });
	}
	return html`<${Whole} loaded=${loaded} what="topics of the node">
		<${Table} name="topics" label="Topics of the node" columns=${columns} rows=${loaded.data?.topics ?? []} id=${(/** @type {NodeTopic} */ t) => t.topic_name} empty="This node has no topics." />
	<//>`;
}
