// The one stream of events that keeps every page up to date (docs/http-api.md, "Stream").
//
// Components say what they watch; the stream is opened again when that changes. It is lost when the server goes away; then it is tried
// again, at growing distances, and the pages keep what they have and say how old it is.
import { useEffect } from "../vendor/hooks.mjs";
import { RequestError } from "./api.js";
import { base } from "./router.js";
import { checkSession } from "./session.js";
import { Store, useStore } from "./store.js";

/** @typedef {"connecting" | "live" | "lost"} StreamState */

/**
 * What came last of a watch.
 * @typedef {{data: any, at: number}} Seen
 */

const firstRetryMs = 500;
const lastRetryMs = 10_000;
const names = ["overview", "topics", "nodes", "cluster", "topic", "channel"];

/** The state of the stream, and since when. */
export const live = new Store(/** @type {{state: StreamState, since: number}} */ ({ state: "connecting", since: Date.now() }));

const seen = new Store(/** @type {Map<string, Seen>} */ (new Map()));

/** How many components want each watch. @type {Map<string, number>} */
const wanted = new Map();
/** @type {EventSource | null} */
let source = null;
/** What the open stream watches. */
let watching = "";
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;
let retryMs = firstRetryMs;

/** @param {StreamState} state */
function setState(state) {
	if (live.value.state !== state) live.set({ state, since: Date.now() });
}

/** Opens the stream that is wanted now, in a moment: several components may change their mind at once. @param {number} [afterMs] */
function openSoon(afterMs = 0) {
	clearTimeout(timer);
	timer = setTimeout(open, afterMs);
}

function open() {
	const watches = document.hidden ? [] : [...wanted.keys()].sort();
	const now = watches.map((w) => `watch=${encodeURIComponent(w)}`).join("&");
	if (now === watching && source && source.readyState !== EventSource.CLOSED) return;
	source?.close();
	source = null;
	watching = now;
	// What nobody watches any more goes. Not at once: the next page may watch the same, and its stream stays open then.
	seen.value = new Map([...seen.value].filter(([watch]) => wanted.has(watch)));
	if (watches.length === 0) return;
	const stream = new EventSource(`${base}api/v1/stream?${now}`);
	source = stream;
	stream.onopen = () => {
		retryMs = firstRetryMs;
		setState("live");
	};
	stream.onerror = () => {
		stream.close(); // its own retries never end, and never grow apart
		if (source === stream) lost();
	};
	stream.addEventListener("bye", () => {
		stream.close();
		if (source === stream) lost();
	});
	for (const name of names) {
		stream.addEventListener(name, (event) => {
			if (source === stream) take(name, watches, /** @type {MessageEvent} */ (event).data);
		});
	}
}

// A page that nobody sees needs no stream; and a browser has only six connections to a server without HTTP/2, for all its tabs.
document.addEventListener("visibilitychange", () => openSoon());

function lost() {
	source = null;
	setState("lost");
	checkSession().catch(() => {}); // perhaps a login is wanted; if the server is gone, the next try will tell
	openSoon(retryMs);
	retryMs = Math.min(retryMs * 2, lastRetryMs);
}

/**
 * @param {string} name
 * @param {string[]} watches
 * @param {string} text
 */
function take(name, watches, text) {
	const watch = watches.find((w) => w === name || w.startsWith(`${name}:`));
	if (!watch) return;
	/** @type {any} */
	let data;
	try {
		data = JSON.parse(text);
	} catch {
		return; // an event that makes no sense: the next one may
	}
	if (data === null || typeof data !== "object") return;
	if (name === "topics") data = patchTopics(seen.value.get(watch)?.data, data);
	if (name === "cluster") data = patchCluster(seen.value.get(watch)?.data, data);
	const next = new Map(seen.value);
	next.set(watch, { data, at: Date.now() });
	seen.set(next);
}

/**
 * A topic, as the list of topics shows it: of all nodes together.
 * @typedef {Record<string, any> & {topic: string}} TopicRow
 */

/**
 * The list of topics after an event that has all of it, or only what changed.
 * @param {{rows: Map<string, TopicRow>} | undefined} old
 * @param {any} event
 */
function patchTopics(old, event) {
	/** @type {Map<string, TopicRow>} */
	const rows = new Map(event.full ? [] : old?.rows);
	/** @type {string[]} */
	const columns = Array.isArray(event.columns) ? event.columns : [];
	for (const values of Array.isArray(event.rows) ? event.rows : []) {
		if (!Array.isArray(values)) continue;
		/** @type {TopicRow} */
		const row = { topic: String(values[0]) };
		columns.forEach((c, i) => {
			row[c] = values[i];
		});
		rows.set(row.topic, row);
	}
	for (const name of Array.isArray(event.removed) ? event.removed : []) rows.delete(name);
	return { rows, topics: [...rows.values()], warnings: event.warnings };
}

/**
 * The cluster after an event that has all partitions, or only those that changed.
 * @param {{byKey: Map<string, import("./model.js").Partition>} | undefined} old
 * @param {any} event
 */
function patchCluster(old, event) {
	/** @type {Map<string, import("./model.js").Partition>} */
	const byKey = new Map(event.full ? [] : old?.byKey);
	for (const p of Array.isArray(event.partitions) ? event.partitions : []) {
		if (Array.isArray(p?.replicas)) byKey.set(p.key, p);
	}
	for (const key of Array.isArray(event.removed) ? event.removed : []) byKey.delete(key);
	return { ...event, nodes: Array.isArray(event.nodes) ? event.nodes : [], byKey, partitions: [...byKey.values()] };
}

/**
 * What is known of a watch, kept up to date while the component is on the page.
 * @param {string} watch "overview", "topics", "nodes", "cluster", "cluster:T", "topic:T", "channel:T:C"
 * @returns {import("./load.js").Loaded<any>}
 */
export function useWatched(watch) {
	useEffect(() => {
		wanted.set(watch, (wanted.get(watch) ?? 0) + 1);
		openSoon();
		return () => {
			const left = (wanted.get(watch) ?? 1) - 1;
			if (left > 0) wanted.set(watch, left);
			else wanted.delete(watch);
			openSoon();
		};
	}, [watch]);
	const { state } = useStore(live);
	const { data = null, at = 0 } = useStore(seen).get(watch) ?? {};
	const missing = data?.missing ? new RequestError("no node has it", 404) : null;
	const gone = state === "lost" ? new RequestError("the connection to the admin server is lost; trying again", 0) : null;
	return { data: missing ? null : data, at, error: missing ?? gone, reload, warnings: missing ? data.warnings : undefined };
}

/** Asks for fresh data at once, by opening the stream again. */
async function reload() {
	watching = "";
	openSoon();
}
