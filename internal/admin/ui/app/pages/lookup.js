// Topics that lookup services remember and no node has; and the place to create one.
import { html } from "../html.js";
import { get } from "../api.js";
import { create, remove } from "../actions.js";
import { useLoaded, Whole } from "../load.js";
import { useMayChange } from "../session.js";
import { PageHead } from "../shell.js";
import { Table } from "../table.js";

/** @typedef {{topic: string, channels: string[]}} Idle */

export function LookupPage() {
	const loaded = useLoaded(() => get("api/v1/lookup"), [], 5000);
	const mayChange = useMayChange();
	/** @type {import("../table.js").Column<Idle>[]} */
	const columns = [
		{ key: "topic", title: "Topic", value: (t) => t.topic, cell: (t) => html`<span class="mono">${t.topic}</span>` },
		{ key: "channels", title: "Channels", value: (t) => t.channels.length, cell: (t) => t.channels.map((c) => html`<span key=${c} class="badge quiet">${c}</span> `) },
	];
	if (mayChange) {
		columns.push({ key: "do", title: "", number: true, value: () => 0, cell: (t) => html`<button class="button small dangerous" onClick=${() => remove({ topic: t.topic }, loaded.reload)}>Delete</button>` });
	}
	return html`<${PageHead} title="Lookup">
			${mayChange ? html`<button class="button" onClick=${() => create("", loaded.reload)}>Create…</button>` : null}
		<//>
		<${Whole} loaded=${loaded} what="lookup">
			<p class="muted">${loaded.data?.lookupds?.length ? `Asked: ${loaded.data.lookupds.join(", ")}.` : "No lookup service is configured: the nodes were asked directly."}</p>
			<${Table} name="idle" label="Topics without a node" columns=${columns} rows=${loaded.data?.topics ?? []} id=${(/** @type {Idle} */ t) => t.topic}
				empty="Every topic that lookup knows has a node that produces it." />
		<//>`;
}
