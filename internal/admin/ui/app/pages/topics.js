// All topics, in one table that stays quick with thousands of them.
import { useMemo } from "../../vendor/hooks.mjs";
import { html } from "../html.js";
import { create } from "../actions.js";
import { plural, rate, short } from "../format.js";
import { useWatched } from "../live.js";
import { Whole } from "../load.js";
import { Link, address, usePlace } from "../router.js";
import { useMayChange } from "../session.js";
import { PageHead } from "../shell.js";
import { Search, Table, matcher } from "../table.js";

/** @typedef {import("../live.js").TopicRow} TopicRow */

/**
 * A column of a figure; zeros stand back.
 * @param {string} key
 * @param {string} title
 * @param {string} field of the row
 * @param {{wide?: boolean, hint?: string, format?: (n: number) => string}} [how]
 * @returns {import("../table.js").Column<TopicRow>}
 */
function figure(key, title, field, { wide = false, hint, format = short } = {}) {
	return {
		key, title, wide, hint, number: true, value: (t) => t[field],
		cell: (t) => html`<span class=${t[field] === 0 ? "muted" : undefined}>${format(t[field])}</span>`,
	};
}

/** @type {import("../table.js").Column<TopicRow>[]} */
const columns = [
	{
		key: "name", title: "Topic", value: (t) => t.topic,
		cell: (t) => html`<${Link} href=${address("topics", t.topic)} title=${t.topic}>${t.topic}<//>${t.paused ? html` <span class="badge warn">paused</span>` : null}`,
	},
	figure("in", "In /s", "rate_in", { format: rate, hint: "messages published a second" }),
	figure("out", "Out /s", "rate_out", { format: rate, wide: true, hint: "messages finished a second, all channels together" }),
	figure("depth", "Depth", "depth", { hint: "messages that wait in the topic and its channels" }),
	figure("inflight", "In flight", "in_flight"),
	figure("deferred", "Deferred", "deferred", { wide: true }),
	figure("messages", "Messages", "messages", { wide: true, hint: "published since the nodes started" }),
	figure("channels", "Channels", "channels", { wide: true }),
	figure("clients", "Consumers", "clients", { wide: true }),
];

export function TopicsPage() {
	const loaded = useWatched("topics");
	const mayChange = useMayChange();
	const q = usePlace().query.get("q") ?? "";
	/** @type {TopicRow[]} */
	const all = loaded.data?.topics ?? [];
	const found = useMemo(() => {
		const matches = matcher(q);
		return all.filter((t) => matches(t.topic));
	}, [loaded.data, q]);
	return html`<${PageHead} title="Topics" badges=${html`<span class="muted">${loaded.data ? plural(all.length, "topic") : ""}</span>`}>
			${mayChange ? html`<button class="button" onClick=${() => create("", loaded.reload)}>Create…</button>` : null}
		<//>
		<${Whole} loaded=${loaded} what="topics">
			<div class="page-head"><${Search} label="Search topics" shown=${found.length} of=${all.length} /></div>
			<${Table} name="topics" label="Topics" columns=${columns} rows=${found} id=${(/** @type {TopicRow} */ t) => t.topic}
				rowClass=${(/** @type {TopicRow} */ t) => (t.paused ? "dim" : undefined)}
				empty=${q ? "No topic has this in its name." : "No topics yet. The first message published to a topic creates it."} />
		<//>`;
}
