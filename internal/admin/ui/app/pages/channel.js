// One channel: its figures, consumers, nodes, the last hour, and the messages in it.
import { html } from "../html.js";
import { empty, pause, remove } from "../actions.js";
import { count, moment, plural, rate, relative, short } from "../format.js";
import { HistoryCharts } from "../history.js";
import { lazy } from "../lazy.js";
import { useWatched } from "../live.js";
import { Whole } from "../load.js";
import { Link, address, usePlace } from "../router.js";
import { useMayChange } from "../session.js";
import { PageHead } from "../shell.js";
import { Table } from "../table.js";
import { Tabs, Tile } from "../tiles.js";

/** @typedef {import("../model.js").ChannelNode} ChannelNode */
/** @typedef {import("../model.js").Consumer} Consumer */

const ChannelBrowser = lazy(() => import("../browser.js"), "ChannelBrowser");

/** The tabs that show messages. @type {Record<string, "waiting" | "in_flight" | "deferred">} */
const states = { waiting: "waiting", "in-flight": "in_flight", deferred: "deferred" };

/** @param {{topic: string, channel: string}} props */
export function ChannelPage({ topic, channel }) {
	const loaded = useWatched(`channel:${topic}:${channel}`);
	const tab = usePlace().query.get("tab") ?? "consumers";
	const mayChange = useMayChange();
	/** @type {import("../model.js").ChannelEvent | null} */
	const event = loaded.data;
	const c = event?.channel;
	const target = { topic, channel };
	const held = c ? c.depth + c.in_flight + c.deferred : 0;
	const alone = c !== undefined && c.depth > 0 && c.clients === 0;
	return html`<${PageHead} title=${channel} kind="channel" above=${[["Topics", address("topics")], [topic, address("topics", topic)]]}
			badges=${html`${c?.paused ? html`<span class="badge warn">paused</span>` : null}${c?.full ? html`<span class="badge bad">full: it reads no further until messages are finished</span>` : null}`}>
			${mayChange ? html`
				<button class="button" disabled=${!c} onClick=${() => pause(target, Boolean(c?.paused), loaded.reload)}>${c?.paused ? "Unpause" : "Pause"}</button>
				<button class="button dangerous" disabled=${!c} onClick=${() => empty(target, plural(held, "message"), loaded.reload)}>Empty</button>
				<button class="button dangerous" onClick=${() => remove(target)}>Delete</button>` : null}
		<//>
		<${Whole} loaded=${loaded} what="channel">${event && c ? html`
			<div class="tiles">
				<${Tile} name="In" value=${rate(c.rates.in)} unit="/s" />
				<${Tile} name="Out" value=${rate(c.rates.out)} unit="/s" />
				<${Tile} name="Depth" value=${short(c.depth)} alarm=${alone} note=${alone ? "no consumers" : ""} />
				<${Tile} name="In flight" value=${short(c.in_flight)} />
				<${Tile} name="Deferred" value=${short(c.deferred)} />
				<${Tile} name="Requeued" value=${short(c.requeued)} note=${`${rate(c.rates.requeued)} /s`} />
				<${Tile} name="Timed out" value=${short(c.timed_out)} note=${`${rate(c.rates.timed_out)} /s`} />
				<${Tile} name="Messages" value=${short(c.messages)} note=${c.lost ? `${count(c.lost)} lost to damage` : c.dropped ? `${count(c.dropped)} dropped` : ""} />
			</div>
			<${Tabs} param="tab" current=${tab} tabs=${[["consumers", `Consumers (${event.consumers.length})`], ["nodes", `Nodes (${event.nodes.length})`],
				["waiting", "Waiting"], ["in-flight", "In flight"], ["deferred", "Deferred"], ["history", "Last hour"]]} />
			${tab === "consumers" ? html`<${Consumers} consumers=${event.consumers} />` : null}
			${tab === "nodes" ? html`<${Nodes} nodes=${event.nodes} />` : null}
			${states[tab] ? html`<${ChannelBrowser} key=${tab} topic=${topic} channel=${channel} state=${states[tab]} nodes=${event.nodes} />` : null}
			${tab === "history" ? html`<${HistoryCharts} of=${target} />` : null}` : null}
		<//>`;
}

/** @param {{consumers: Consumer[]}} props */
function Consumers({ consumers }) {
	/** @type {import("../table.js").Column<Consumer>[]} */
	const columns = [
		{ key: "client", title: "Consumer", value: (c) => c.client_id || c.hostname, cell: (c) => html`<span title=${c.hostname}>${c.client_id || c.hostname || "?"}</span> <span class="muted">${c.remote_address}</span>` },
		{ key: "node", title: "Node", wide: true, value: (c) => c.node, cell: (c) => html`<${Link} href=${address("nodes", c.node)}>${c.node}<//>` },
		{ key: "agent", title: "Program", wide: true, value: (c) => c.user_agent, cell: (c) => html`${c.user_agent} ${attributes(c).map((a) => html`<span key=${a} class="badge quiet">${a}</span> `)}` },
		{ key: "inflight", title: "In flight", number: true, value: (c) => c.in_flight },
		{ key: "ready", title: "Ready", number: true, value: (c) => c.ready, hint: "how many it is willing to have in flight" },
		{ key: "finished", title: "Finished", number: true, value: (c) => c.finished },
		{ key: "requeued", title: "Requeued", number: true, wide: true, value: (c) => c.requeued },
		{ key: "messages", title: "Messages", number: true, wide: true, value: (c) => c.messages },
		{ key: "since", title: "Connected", number: true, wide: true, value: (c) => c.connected_ms, cell: (c) => html`<span title=${moment(c.connected_ms)}>${relative(c.connected_ms)}</span>` },
	];
	return html`<${Table} name="consumers" label="Consumers" columns=${columns} rows=${consumers} id=${(/** @type {Consumer} */ c) => `${c.node} ${c.remote_address} ${c.client_id}`}
		empty="No consumers are connected: messages wait." />`;
}

/** @param {Consumer} c */
function attributes(c) {
	const out = [];
	if (c.tls) out.push("TLS");
	if (c.deflate) out.push("deflate");
	if (c.snappy) out.push("snappy");
	if (c.sample_rate) out.push(`${c.sample_rate} % sample`);
	return out;
}

/** @param {{nodes: ChannelNode[]}} props */
function Nodes({ nodes }) {
	/** @type {import("../table.js").Column<ChannelNode>[]} */
	const columns = [
		{ key: "node", title: "Node", value: (n) => n.node, cell: (n) => html`<${Link} href=${address("nodes", n.node)}>${n.node}<//>${n.channel.paused ? html` <span class="badge warn">paused</span>` : null}` },
		{ key: "out", title: "Out /s", number: true, value: (n) => n.channel.rates.out, cell: (n) => rate(n.channel.rates.out) },
		{ key: "depth", title: "Depth", number: true, value: (n) => n.channel.depth },
		{ key: "inflight", title: "In flight", number: true, value: (n) => n.channel.in_flight },
		{ key: "deferred", title: "Deferred", number: true, wide: true, value: (n) => n.channel.deferred },
		{ key: "requeued", title: "Requeued", number: true, wide: true, value: (n) => n.channel.requeued },
		{ key: "timedout", title: "Timed out", number: true, wide: true, value: (n) => n.channel.timed_out },
		{ key: "clients", title: "Consumers", number: true, value: (n) => n.channel.clients },
	];
	return html`<${Table} name="nodes" label="Nodes of the channel" columns=${columns} rows=${nodes} id=${(/** @type {ChannelNode} */ n) => n.node} />`;
}
