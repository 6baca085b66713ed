// One topic: its figures, channels, nodes, partitions in a cluster, the last hour, and its log.
import { html } from "../html.js";
import { create, empty, pause, remove, tombstone } from "../actions.js";
import { PartitionTable, withCluster } from "../cluster.js";
import { bytes, plural, rate, short } from "../format.js";
import { HistoryCharts } from "../history.js";
import { lazy } from "../lazy.js";
import { useWatched } from "../live.js";
import { Whole } from "../load.js";
import { publish } from "../publish.js";
import { Link, address, usePlace } from "../router.js";
import { useMayChange } from "../session.js";
import { PageHead } from "../shell.js";
import { Table } from "../table.js";
import { Tabs, Tile } from "../tiles.js";

/** @typedef {import("../model.js").ChannelSummary} ChannelSummary */
/** @typedef {import("../model.js").TopicNode} TopicNode */

const LogBrowser = lazy(() => import("../browser.js"), "LogBrowser");

/** @param {{topic: string}} props */
export function TopicPage({ topic }) {
	const cluster = useWatched(`cluster:${topic}`);
	const loaded = withCluster(useWatched(`topic:${topic}`), cluster);
	/** @type {import("../model.js").Partition[]} */
	const partitions = cluster.data?.partitions ?? [];
	const tab = usePlace().query.get("tab") ?? "channels";
	const mayChange = useMayChange();
	/** @type {import("../model.js").TopicEvent | null} */
	const t = loaded.data;
	const inTopic = (t?.nodes ?? []).reduce((sum, n) => sum + n.depth, 0);
	return html`<${PageHead} title=${topic} kind="topic" above=${[["Topics", address("topics")]]}
			badges=${t?.paused ? html`<span class="badge warn">paused</span>` : null}>
			${mayChange ? html`
				<button class="button" onClick=${() => publish(topic, loaded.reload)}>Publish…</button>
				<button class="button" onClick=${() => create(topic, loaded.reload)}>Create channel…</button>
				<button class="button" disabled=${!t} onClick=${() => pause({ topic }, Boolean(t?.paused), loaded.reload)}>${t?.paused ? "Unpause" : "Pause"}</button>
				<button class="button dangerous" disabled=${!t} onClick=${() => empty({ topic }, plural(inTopic, "message"), loaded.reload)}>Empty</button>
				<button class="button dangerous" onClick=${() => remove({ topic })}>Delete</button>` : null}
		<//>
		<${Whole} loaded=${loaded} what="topic">${t ? html`
			<div class="tiles">
				<${Tile} name="In" value=${rate(t.rates.in)} unit="/s" />
				<${Tile} name="Out" value=${rate(t.rates.out)} unit="/s" note="all channels together" />
				<${Tile} name="Depth" value=${short(t.totals.depth)} note=${inTopic > 0 ? `${short(inTopic)} in the topic itself` : ""} />
				<${Tile} name="In flight" value=${short(t.totals.in_flight)} />
				<${Tile} name="Deferred" value=${short(t.totals.deferred)} />
				<${Tile} name="Messages" value=${short(t.totals.messages)} note=${bytes(t.bytes)} />
			</div>
			<${Tabs} param="tab" current=${tab} tabs=${[["channels", `Channels (${t.channels.length})`], ["nodes", `Nodes (${t.nodes.length})`], ...(partitions.length > 0 ? [["partitions", `Partitions (${partitions.length})`]] : []), ["messages", "Messages"], ["history", "Last hour"]]} />
			${tab === "channels" ? html`<${Channels} topic=${topic} channels=${t.channels} />` : null}
			${tab === "nodes" ? html`<${Nodes} topic=${topic} nodes=${t.nodes} reload=${loaded.reload} />` : null}
			${tab === "partitions" ? html`<${PartitionTable} partitions=${partitions} />` : null}
			${tab === "messages" ? html`<${LogBrowser} topic=${topic} nodes=${t.nodes} />` : null}
			${tab === "history" ? html`<${HistoryCharts} of=${{ topic }} />` : null}` : null}
		<//>`;
}

/** @param {{topic: string, channels: ChannelSummary[]}} props */
function Channels({ topic, channels }) {
	/** @type {import("../table.js").Column<ChannelSummary>[]} */
	const columns = [
		{
			key: "name", title: "Channel", value: (c) => c.channel,
			cell: (c) => html`<${Link} href=${address("topics", topic, c.channel)} title=${c.channel}>${c.channel}<//>${c.paused ? html` <span class="badge warn">paused</span>` : null}${c.full ? html` <span class="badge bad">full</span>` : null}`,
		},
		{ key: "out", title: "Out /s", number: true, value: (c) => c.rates.out, cell: (c) => rate(c.rates.out), hint: "messages finished a second" },
		{ key: "depth", title: "Depth", number: true, value: (c) => c.depth },
		{ key: "inflight", title: "In flight", number: true, value: (c) => c.in_flight },
		{ key: "deferred", title: "Deferred", number: true, wide: true, value: (c) => c.deferred },
		{ key: "requeued", title: "Requeued", number: true, wide: true, value: (c) => c.requeued },
		{ key: "timedout", title: "Timed out", number: true, wide: true, value: (c) => c.timed_out },
		{ key: "messages", title: "Messages", number: true, wide: true, value: (c) => c.messages },
		{ key: "clients", title: "Consumers", number: true, value: (c) => c.clients, cell: (c) => html`<span class=${c.clients === 0 && c.depth > 0 ? "bad" : undefined}>${c.clients}</span>` },
	];
	return html`<${Table} name="channels" label="Channels" columns=${columns} rows=${channels} id=${(/** @type {ChannelSummary} */ c) => c.channel}
		empty="No channels: messages wait in the topic for the first one. A consumer that subscribes creates it." />`;
}

/** @param {{topic: string, nodes: TopicNode[], reload: () => void}} props */
function Nodes({ topic, nodes, reload }) {
	const mayChange = useMayChange();
	/** @type {import("../table.js").Column<TopicNode>[]} */
	const columns = [
		{
			key: "node", title: "Node", value: (n) => n.node,
			cell: (n) => html`<${Link} href=${address("nodes", n.node)}>${n.node}<//>${n.paused ? html` <span class="badge warn">paused</span>` : null}${n.tombstoned ? html` <span class="badge warn">tombstoned</span>` : null}`,
		},
		{ key: "in", title: "In /s", number: true, value: (n) => n.rates.in, cell: (n) => rate(n.rates.in) },
		{ key: "depth", title: "Depth", number: true, value: (n) => n.depth, hint: "messages that no channel has yet" },
		{ key: "messages", title: "Messages", number: true, value: (n) => n.messages },
		{ key: "bytes", title: "Size", number: true, wide: true, value: (n) => n.bytes, cell: (n) => bytes(n.bytes) },
		{ key: "channels", title: "Channels", number: true, wide: true, value: (n) => n.channels },
	];
	if (mayChange) {
		columns.push({ key: "do", title: "", number: true, value: () => 0, cell: (n) => html`<button class="button small dangerous" onClick=${() => tombstone(topic, n.node, reload)}>Tombstone</button>` });
	}
	return html`<${Table} name="nodes" label="Nodes of the topic" columns=${columns} rows=${nodes} id=${(/** @type {TopicNode} */ n) => n.node} />`;
}
