// The cluster, in parts that several pages show: its nodes, and its partitions with who leads them and how far the others are behind.
import { useMemo } from "../vendor/hooks.mjs";
import { html } from "./html.js";
import { count, short } from "./format.js";
import { Link, address, usePlace } from "./router.js";
import { Search, Table, matcher } from "./table.js";

/** @typedef {import("./model.js").ClusterNode} ClusterNode */
/** @typedef {import("./model.js").Partition} Partition */
/** @typedef {import("./model.js").Replica} Replica */

/**
 * What a page shows, with the cluster's warnings beside its own.
 * @param {import("./load.js").Loaded<any>} loaded
 * @param {import("./load.js").Loaded<any>} cluster
 * @returns {import("./load.js").Loaded<any>}
 */
export function withCluster(loaded, cluster) {
	const more = cluster.data?.warnings;
	if (!loaded.data || !Array.isArray(more) || more.length === 0) return loaded;
	return { ...loaded, data: { ...loaded.data, warnings: [...new Set([...(loaded.data.warnings ?? []), ...more])] } };
}

/** @param {ClusterNode} n */
function health(n) {
	if (n.state === "down") return "bad";
	return n.state !== "up" || n.problem ? "warn" : "good";
}

/** @param {{node: string}} props */
function NodeLink({ node }) {
	return node ? html`<${Link} href=${address("nodes", node)}>${node}<//>` : html`<span class="bad">none</span>`;
}

/** @type {import("./table.js").Column<ClusterNode>[]} */
const nodeColumns = [
	{ key: "node", title: "Node", value: (n) => n.node, cell: (n) => html`<i class=${`dot inline ${health(n)}`}></i><${NodeLink} node=${n.node} /> <span class="muted">${n.name || n.id}</span>` },
	{
		key: "state", title: "State", value: (n) => n.state,
		cell: (n) => html`<span class=${`state ${health(n) === "good" ? "" : health(n)}`} title=${n.problem}>${n.state}${n.problem ? `: ${n.problem}` : ""}</span>`,
	},
	{ key: "leads", title: "Leads", number: true, value: (n) => n.leads, hint: "partitions that it leads now" },
	{ key: "should", title: "Should lead", number: true, value: (n) => n.should_lead, hint: "partitions that are meant for it: it takes them back when it can" },
	{ key: "replicas", title: "Replicas", number: true, wide: true, value: (n) => n.replicas, hint: "partitions that it holds a copy of" },
	{ key: "lag", title: "Worst lag", number: true, value: (n) => n.worst_lag, cell: (n) => html`<span class=${n.worst_lag > 0 ? undefined : "muted"}>${short(n.worst_lag)}</span>`, hint: "entries that the furthest of its replicas lacks" },
];

/** @param {{nodes: ClusterNode[]}} props */
export function ClusterNodes({ nodes }) {
	return html`<${Table} name="members" label="Nodes of the cluster" columns=${nodeColumns} rows=${nodes} id=${(/** @type {ClusterNode} */ n) => `${n.cluster}/${n.id}`} />`;
}

/** @param {Partition} p */
const nameOf = (p) => (p.topic === "" ? "catalog" : p.topic);

/** @param {Partition} p */
const worstLag = (p) => p.replicas.reduce((worst, r) => Math.max(worst, r.lag ?? 0), 0);

/** How a replica is, where it is not as it should be. @param {Replica} r */
function replicaState(r) {
	if (r.lag === null) return "not known";
	if (!r.active) return "not reached";
	return r.lag > 0 ? `${count(r.lag)} behind` : r.state;
}

/** @param {{partition: Partition}} props */
function Replicas({ partition: p }) {
	return p.replicas.map((r, i) => html`${i > 0 ? ", " : ""}<span key=${r.node} class=${r.node === p.leader ? undefined : r.active ? "muted" : "warn"}
		title=${replicaState(r)}>${r.node}${r.node !== p.leader && (r.lag === null || r.lag > 0 || !r.active) ? html` <small>(${replicaState(r)})</small>` : null}</span>`);
}

/** @type {import("./table.js").Column<Partition>[]} */
const partitionColumns = [
	{
		key: "topic", title: "Topic", value: (p) => `${nameOf(p)}/${p.partition}`,
		cell: (p) => (p.topic === "" ? html`<b title="who the nodes are, which topics there are, and who holds what">catalog</b>` : html`<${Link} href=${address("topics", p.topic)}>${p.topic}<//>`),
	},
	{ key: "partition", title: "Partition", number: true, value: (p) => p.partition },
	{ key: "leader", title: "Leader", value: (p) => p.leader, cell: (p) => html`<${NodeLink} node=${p.leader} />${p.preferred && p.leader && p.preferred !== p.leader ? html` <span class="badge warn" title=${`meant for ${p.preferred}`}>moved</span>` : null}` },
	{ key: "preferred", title: "Should lead", wide: true, value: (p) => p.preferred, cell: (p) => p.preferred || "any" },
	{ key: "lag", title: "Lag", number: true, value: worstLag, cell: (p) => html`<span class=${worstLag(p) > 0 ? undefined : "muted"}>${short(worstLag(p))}</span>`, hint: "entries that the furthest replica lacks" },
	{ key: "replicas", title: "Replicas", wide: true, value: (p) => p.replicas.length, cell: (p) => html`<${Replicas} partition=${p} />` },
	{ key: "problem", title: "Problem", value: (p) => p.problem, cell: (p) => html`<span class="bad" title=${p.problem}>${p.problem}</span>` },
];

/** @param {{partitions: Partition[], empty?: string}} props */
export function PartitionTable({ partitions, empty }) {
	return html`<${Table} name="partitions" label="Partitions" columns=${partitionColumns} rows=${partitions} id=${(/** @type {Partition} */ p) => p.key} empty=${empty} />`;
}

/**
 * The partitions, and a search among them by topic, node and problem.
 * @param {{partitions: Partition[]}} props
 */
export function SearchedPartitions({ partitions }) {
	const q = usePlace().query.get("q") ?? "";
	const found = useMemo(() => {
		const matches = matcher(q);
		return partitions.filter((p) => matches(`${nameOf(p)}/${p.partition} ${p.leader} ${p.replicas.map((r) => r.node).join(" ")} ${p.problem}`));
	}, [partitions, q]);
	return html`<section><div class="section-head"><h2>Partitions</h2></div>
		<div class="page-head"><${Search} label="Search partitions" shown=${found.length} of=${partitions.length} /></div>
		<${PartitionTable} partitions=${found} empty="No partition has this in its topic, nodes or problem." /></section>`;
}
