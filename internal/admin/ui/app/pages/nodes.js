// All nodes: up or down, how they are, what they hold; the cluster, where there is one; and the lookup services.
import { html } from "../html.js";
import { ClusterNodes, SearchedPartitions, withCluster } from "../cluster.js";
import { fullIn } from "../disk.js";
import { bytes, duration, plural, rate, relative, short } from "../format.js";
import { useWatched } from "../live.js";
import { Whole } from "../load.js";
import { Link, address } from "../router.js";
import { PageHead } from "../shell.js";
import { Table } from "../table.js";

/** @typedef {import("../model.js").AdminNode} AdminNode */

/** @param {AdminNode} n */
function health(n) {
	if (!n.up) return "bad";
	return n.healthy === false || n.out_of_date ? "warn" : "good";
}

/**
 * How a node is, in a word or a few.
 * @param {AdminNode} n
 */
export function healthText(n) {
	if (!n.up) return n.error || "down";
	if (n.healthy === false) return n.health || "not well";
	return "up";
}

/** @type {import("../table.js").Column<AdminNode>[]} */
const columns = [
	{
		key: "node", title: "Node", value: (n) => n.node,
		cell: (n) => html`<i class=${`dot inline ${health(n)}`}></i><${Link} href=${address("nodes", n.node)}>${n.hostname || n.node}<//> <span class="muted">${n.hostname ? n.node : ""}</span>`,
	},
	{ key: "state", title: "State", value: healthText, cell: (n) => html`<span class=${`state ${health(n) === "good" ? "" : health(n)}`} title=${healthText(n)}>${healthText(n)}</span>` },
	{ key: "in", title: "In /s", number: true, value: (n) => n.rates.in, cell: (n) => (n.up ? rate(n.rates.in) : "–") },
	{ key: "out", title: "Out /s", number: true, wide: true, value: (n) => n.rates.out, cell: (n) => (n.up ? rate(n.rates.out) : "–") },
	{ key: "depth", title: "Depth", number: true, value: (n) => n.totals.depth, cell: (n) => (n.up ? short(n.totals.depth) : "–") },
	{ key: "topics", title: "Topics", number: true, wide: true, value: (n) => n.totals.topics },
	{ key: "clients", title: "Consumers", number: true, wide: true, value: (n) => n.totals.clients },
	{ key: "sync", title: "Sync p99", number: true, wide: true, value: (n) => n.sync_latency?.p99_ms, cell: (n) => (n.sync_latency?.count ? duration(n.sync_latency.p99_ms / 1000) : "–") },
	{ key: "disk", title: "Disk free", number: true, wide: true, value: (n) => n.disk?.free_bytes, cell: (n) => (n.disk ? html`<span title=${fullIn(n.disk)}>${bytes(n.disk.free_bytes)}</span>` : "–") },
];

/** What the page about nodes shows besides. @type {import("../table.js").Column<AdminNode>[]} */
const more = [
	{ key: "version", title: "Version", wide: true, value: (n) => n.version, cell: (n) => html`${n.version}${n.out_of_date ? html` <span class="badge warn" title="Another node runs a newer version">older</span>` : null}` },
	{ key: "zone", title: "Zone", wide: true, value: (n) => [n.topology_region, n.topology_zone].filter(Boolean).join(" / ") },
	{ key: "lookups", title: "Lookup", number: true, wide: true, value: (n) => n.lookupds.length, hint: "lookup services that list it" },
	{ key: "started", title: "Started", number: true, wide: true, value: (n) => n.started_ms, cell: (n) => relative(n.started_ms) },
];

/** @param {{nodes: AdminNode[], brief?: boolean}} props */
export function NodeTable({ nodes, brief = false }) {
	return html`<${Table} name="nodes" label="Nodes" columns=${brief ? columns : [...columns, ...more]} rows=${nodes} id=${(/** @type {AdminNode} */ n) => n.node}
		empty="No nodes are known. Is a lookup service running, and do the nodes register with it?" />`;
}

export function NodesPage() {
	const cluster = useWatched("cluster");
	const loaded = withCluster(useWatched("nodes"), cluster);
	/** @type {import("../model.js").ClusterEvent | null} */
	const c = cluster.data;
	/** @type {import("../model.js").Nodes | null} */
	const data = loaded.data;
	return html`<${PageHead} title="Nodes" badges=${html`<span class="muted">${data ? plural(data.nodes.length, "node") : ""}</span>`} />
		<${Whole} loaded=${loaded} what="nodes">${data ? html`
			<${NodeTable} nodes=${data.nodes} />
			${c?.enabled ? html`<section><div class="section-head"><h2>Cluster</h2></div><${ClusterNodes} nodes=${c.nodes} /></section>` : null}
			${data.lookupds.length > 0 ? html`<section><div class="section-head"><h2>Lookup services</h2></div>
				<ul class="panel plain-list">${data.lookupds.map((l) => html`<li key=${l.address}><i class=${`dot inline ${l.up ? "good" : "bad"}`}></i>${l.address} <span class="muted">${l.up ? "" : l.error}</span></li>`)}</ul>
			</section>` : null}
			${c?.enabled ? html`<${SearchedPartitions} partitions=${c.partitions} />` : null}` : null}
		<//>`;
}
