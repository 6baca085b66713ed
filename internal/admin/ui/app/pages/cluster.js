// The cluster as one node sees it: who leads each partition, who follows, and how far behind.
import { html } from "../html.js";
import { get, pathOf } from "../api.js";
import { Whole, useLoaded } from "../load.js";
import { Table } from "../table.js";

/**
 * A partition as GET /v1/cluster has it. A cluster's fields are taken as they come: nodes of several versions answer.
 * @typedef {Record<string, any>} Row
 */

/** @param {{node: string}} props */
export function ClusterPart({ node }) {
	const loaded = useLoaded(() => get(`api/v1/nodes/${pathOf(node)}/cluster`), [node], 5000);
	const data = loaded.data;
	return html`<${Whole} loaded=${loaded} what="cluster">
		${data && !data.enabled ? html`<p class="panel blank">This node stands alone: every topic has its one log here, and no replicas elsewhere.</p>` : null}
		${data?.enabled ? html`<${Rows} title="Members" rows=${data.nodes ?? []} /><${Rows} title="Partitions" rows=${data.partitions ?? []} />` : null}
	<//>`;
}

/** @param {{title: string, rows: Row[]}} props */
function Rows({ title, rows }) {
	const names = [...new Set(rows.flatMap((r) => Object.keys(r)))];
	if (names.length === 0) return null;
	/** @param {any} value */
	const text = (value) => (value !== null && typeof value === "object" ? JSON.stringify(value) : value);
	/** @type {import("../table.js").Column<Row>[]} */
	const columns = names.map((name) => ({ key: name, title: name.replaceAll("_", " "), number: typeof rows[0][name] === "number", value: (r) => text(r[name]), cell: (r) => String(text(r[name]) ?? "–") }));
	return html`<section><div class="section-head"><h2>${title}</h2></div>
		<${Table} name=${title.toLowerCase()} label=${title} columns=${columns} rows=${rows} id=${(/** @type {Row} */ r) => JSON.stringify(r)} /></section>`;
}
