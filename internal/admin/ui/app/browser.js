// Looking at messages: a topic's log from any place on, searched for a text; and what a channel holds.
import { useState } from "../vendor/hooks.mjs";
import { html } from "./html.js";
import { get } from "./api.js";
import { bytes, count, plural } from "./format.js";
import { Whole, useLoaded } from "./load.js";
import { MessageList, nodePath } from "./messages.js";
import { setQuery, usePlace } from "./router.js";
import { useMaySeeBodies } from "./session.js";

/** @typedef {import("./model.js").Message} Message */
/** @typedef {import("./messages.js").Origin} Origin */

const pageSize = 50;
const listedBodyBytes = 2048;

/**
 * The nodes that can show messages, and a choice among them that stands in the address.
 * @param {{node: string, weir: boolean}[]} nodes
 */
function useNode(nodes) {
	const chosen = usePlace().query.get("node");
	const able = nodes.filter((n) => n.weir).map((n) => n.node);
	return { able, node: chosen !== null && able.includes(chosen) ? chosen : able[0] };
}

/** @param {{able: string[], node: string}} props */
function NodeChoice({ able, node }) {
	if (able.length < 2) return null;
	return html`<label class="field"><span>Node</span><select value=${node} onChange=${(/** @type {Event} */ e) => setQuery({ node: /** @type {HTMLSelectElement} */ (e.target).value, offset: null })}>
		${able.map((n) => html`<option key=${n} value=${n}>${n}</option>`)}</select></label>`;
}

/**
 * A choice among the partitions that a node has of a topic, if there are several; it stands in the address.
 * @param {{origin: Origin}} props
 */
function PartitionChoice({ origin }) {
	const chosen = usePlace().query.get("partition") ?? "0";
	const loaded = useLoaded(() => get(nodePath(origin)), [origin.node, origin.topic]);
	/** @type {{partition: number, leading: boolean}[]} */
	const partitions = loaded.data?.partitions ?? [];
	if (partitions.length < 2) return null;
	return html`<label class="field"><span>Partition</span><select value=${chosen} onChange=${(/** @type {Event} */ e) => goTo({ partition: /** @type {HTMLSelectElement} */ (e.target).value })}>
		${partitions.map((p) => html`<option key=${p.partition} value=${p.partition}>${p.partition}${p.leading ? "" : " (replica)"}</option>`)}</select></label>`;
}

function NotYou() {
	return html`<p class="panel blank">You may not look at messages.</p>`;
}

function NotHere() {
	return html`<p class="panel blank">Only Weir's nodes can show messages; a stock nsqd cannot.</p>`;
}

/**
 * A topic's log, for those who may look at messages.
 * @param {{topic: string, nodes: {node: string, weir: boolean}[]}} props
 */
export function LogBrowser(props) {
	return useMaySeeBodies() ? html`<${Log} ...${props} />` : html`<${NotYou} />`;
}

/**
 * A topic's log. The place stands in the address: offset, time_ms, id, or from=oldest; else the newest messages.
 * @param {{topic: string, nodes: {node: string, weir: boolean}[]}} props
 */
function Log({ topic, nodes }) {
	const { able, node } = useNode(nodes);
	const { query } = usePlace();
	const contains = query.get("contains") ?? "";
	if (node === undefined) return html`<${NotHere} />`;
	const origin = { node, topic };
	return html`<div class="browser">
		<div class="browser-bar"><${NodeChoice} able=${able} node=${node} /><${PartitionChoice} origin=${origin} /><${PlaceForm} /><${FindForm} key=${contains} contains=${contains} /></div>
		${contains !== "" ? html`<${Found} key=${[contains, node, query.get("partition")].join()} origin=${origin} contains=${contains} />` : html`<${LogPage} origin=${origin} />`}
	</div>`;
}

/** The parameters of the address that name a place in the log. */
const placeNames = ["offset", "time_ms", "id", "from", "partition"];

/**
 * Goes to a place in the log.
 * @param {Record<string, string>} place
 */
function goTo(place) {
	/** @type {Record<string, string | null>} */
	const changes = { contains: null };
	for (const name of placeNames) changes[name] = name === "partition" ? new URLSearchParams(location.search).get(name) : null;
	setQuery({ ...changes, ...place }, true);
}

function PlaceForm() {
	/** @param {SubmitEvent} event */
	const submit = (event) => {
		event.preventDefault();
		const text = String(new FormData(/** @type {HTMLFormElement} */ (event.currentTarget)).get("place")).trim();
		if (/^\d{1,15}$/.test(text)) goTo({ offset: text });
		else if (/^[0-9a-f]{16}$/i.test(text)) goTo({ id: text.toLowerCase() });
		else if (!Number.isNaN(Date.parse(text))) goTo({ time_ms: String(Date.parse(text)) });
		else if (text === "") goTo({});
	};
	return html`<form class="inline-form" onSubmit=${submit}>
		<label class="field"><span>Go to</span><input name="place" placeholder="offset, id, or 2026-11-21 14:03" size="28" spellcheck=${false} autocomplete="off" /></label>
		<button class="button">Go</button>
		<button type="button" class="button" onClick=${() => goTo({ from: "oldest" })}>Oldest</button>
		<button type="button" class="button" onClick=${() => goTo({})}>Newest</button>
	</form>`;
}

/** @param {{contains: string}} props */
function FindForm({ contains }) {
	/** @param {SubmitEvent} event */
	const submit = (event) => {
		event.preventDefault();
		setQuery({ contains: String(new FormData(/** @type {HTMLFormElement} */ (event.currentTarget)).get("contains")) }, true);
	};
	return html`<form class="inline-form" onSubmit=${submit}>
		<label class="field"><span>Find in bodies</span><input type="search" name="contains" defaultValue=${contains} placeholder="text" spellcheck=${false} /></label>
		<button class="button">Find</button>
	</form>`;
}

/** @param {{origin: Origin}} props */
function LogPage({ origin }) {
	const { query } = usePlace();
	const place = new URLSearchParams({ limit: String(pageSize), max_body: String(listedBodyBytes) });
	for (const name of placeNames) {
		const value = query.get(name);
		if (value !== null) place.set(name, value);
	}
	const loaded = useLoaded(() => get(`${nodePath(origin, "messages")}?${place}`), [origin.node, origin.topic, String(place)]);
	/** @type {{messages: Message[], start: number, end: number, next: number, partition: number} | null} */
	const page = loaded.data;
	const first = page?.messages[0]?.offset ?? page?.next ?? 0;
	const wide = page !== null && page.messages.length > 0;
	return html`<${Whole} loaded=${loaded} what="messages">${page ? html`
		<${Pager} start=${page.start} end=${page.end} partition=${page.partition} first=${first} next=${page.next} shown=${page.messages.length} reload=${loaded.reload} />
		<${MessageList} messages=${page.messages} origin=${origin} then=${loaded.reload}
			empty=${page.end > page.start ? "There are no messages from here on." : "The log has no messages: none came yet, or what was finished is no longer kept."} />
		${wide ? html`<${Pager} start=${page.start} end=${page.end} partition=${page.partition} first=${first} next=${page.next} shown=${page.messages.length} reload=${loaded.reload} />` : null}` : null}
	<//>`;
}

/** @param {{start: number, end: number, partition: number, first: number, next: number, shown: number, reload: () => void}} props */
function Pager({ start, end, partition, first, next, shown, reload }) {
	return html`<div class="pager">
		<span class="muted">${shown > 0 ? `${count(first)} to ${count(next - 1)}` : "nothing"} of offsets ${count(start)} to ${count(Math.max(start, end - 1))}${partition > 0 ? `, partition ${partition}` : ""}</span>
		<span class="push"></span>
		<button class="button small" disabled=${first <= start} onClick=${() => goTo({ offset: String(Math.max(start, first - pageSize)) })}>Older</button>
		<button class="button small" disabled=${next >= end} onClick=${() => goTo({ offset: String(next) })}>Newer</button>
		<button class="button small" onClick=${reload}>Refresh</button>
	</div>`;
}

/**
 * What a search found so far. A request looks through a bounded part of the log; the next goes on behind it when it is asked to.
 * @param {{origin: Origin, contains: string}} props
 */
function Found({ origin, contains }) {
	const [found, setFound] = useState(/** @type {{messages: Message[], from: number | null, scanned: number, bytes: number}} */ ({ messages: [], from: null, scanned: 0, bytes: 0 }));
	const partition = usePlace().query.get("partition");
	const query = new URLSearchParams({ contains, ignore_case: "true", limit: String(pageSize), max_body: String(listedBodyBytes) });
	if (partition !== null) query.set("partition", partition);
	if (found.from !== null) query.set("offset", String(found.from));
	const loaded = useLoaded(() => get(`${nodePath(origin, "search")}?${query}`), [origin.node, origin.topic, String(query)]);
	/** @type {{messages: Message[], next: number, end: number, done: boolean, scanned_messages: number, scanned_bytes: number} | null} */
	const page = loaded.data;
	const messages = [...found.messages, ...(page?.messages ?? [])];
	const scanned = found.scanned + (page?.scanned_messages ?? 0);
	const size = found.bytes + (page?.scanned_bytes ?? 0);
	const goOn = () => page && setFound({ messages, from: page.next, scanned, bytes: size });
	return html`
		<div class="pager"><span class="muted" role="status">${plural(messages.length, "message")} found in ${plural(scanned, "message")} (${bytes(size)}) looked through${page?.done ? ", to the end of the log" : ""}</span>
			<span class="push"></span>
			${page && !page.done ? html`<button class="button small" onClick=${goOn}>Look further</button>` : null}
			<button class="button small" onClick=${() => goTo({})}>Back to the log</button></div>
		<${Whole} loaded=${page || messages.length === 0 ? loaded : { ...loaded, data: {} }} what="search">
			<${MessageList} messages=${messages} origin=${origin} then=${() => {}} empty=${page?.done === false ? "Nothing so far." : "No message that is kept has this in its body."} />
		<//>`;
}

/**
 * The messages that a channel holds in one state, for those who may look at messages.
 * @param {{topic: string, channel: string, state: "waiting" | "in_flight" | "deferred", nodes: {node: string, weir: boolean}[]}} props
 */
export function ChannelBrowser(props) {
	return useMaySeeBodies() ? html`<${Held} ...${props} />` : html`<${NotYou} />`;
}

/**
 * The messages that a channel holds in one state.
 * @param {{topic: string, channel: string, state: "waiting" | "in_flight" | "deferred", nodes: {node: string, weir: boolean}[]}} props
 */
function Held({ topic, channel, state, nodes }) {
	const { able, node } = useNode(nodes);
	const [after, setAfter] = useState(/** @type {string[]} */ ([])); // the cursors of the pages before this one
	const cursor = after[after.length - 1] ?? "";
	const partition = usePlace().query.get("partition");
	const origin = { node: node ?? "", topic, channel };
	const query = new URLSearchParams({ state, limit: String(pageSize), max_body: String(listedBodyBytes) });
	if (partition !== null) query.set("partition", partition);
	if (cursor) query.set("after", cursor);
	const loaded = useLoaded(() => (node === undefined ? Promise.resolve({}) : get(`${nodePath(origin, "channels", channel, "messages")}?${query}`)), [node, topic, channel, String(query)], 3000);
	if (node === undefined) return html`<${NotHere} />`;
	/** @type {{messages: Message[], total: number, next: string} | null} */
	const page = loaded.data;
	const word = { waiting: "waiting", in_flight: "in flight", deferred: "deferred" }[state];
	return html`<div class="browser">
		<div class="browser-bar"><${NodeChoice} able=${able} node=${node} /><${PartitionChoice} origin=${origin} /></div>
		<${Whole} loaded=${loaded} what="messages">${page ? html`
			<div class="pager"><span class="muted" role="status">${plural(page.total, "message")} ${word}</span><span class="push"></span>
				<button class="button small" disabled=${after.length === 0} onClick=${() => setAfter([])}>First</button>
				<button class="button small" disabled=${!page.next} onClick=${() => setAfter([...after, page.next])}>Next</button>
				<button class="button small" onClick=${loaded.reload}>Refresh</button></div>
			<${MessageList} messages=${page.messages} origin=${origin} then=${loaded.reload} empty=${`No messages are ${word} here.`} />` : null}
		<//>
	</div>`;
}
