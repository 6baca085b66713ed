// The last hour, as the nodes remember it, in charts.
import { useMemo } from "../vendor/hooks.mjs";
import { html } from "./html.js";
import { get } from "./api.js";
import { Chart } from "./chart.js";
import { bytes, duration, rate, short } from "./format.js";
import { useLoaded } from "./load.js";

/** @typedef {import("./model.js").History} History */

const everyMs = 10_000;
const shortestMs = 5 * 60_000; // a chart of a young node is not shorter

/**
 * The history of everything, a node, a topic or a channel.
 * @param {{node?: string, topic?: string, channel?: string}} of
 * @returns {import("./load.js").Loaded<History>}
 */
export function useHistory(of) {
	const query = new URLSearchParams(Object.entries(of).filter(([, v]) => v !== undefined)).toString();
	return useLoaded(async () => trim(await get(`api/v1/history?${query}`)), [query], everyMs);
}

/**
 * A history without the time before it began, so that a young node's is not squeezed into a corner.
 * @param {History} history
 * @returns {History}
 */
function trim(history) {
	const { length } = history.in;
	const known = history.in.findIndex((n) => n !== null);
	const first = Math.max(0, Math.min(known < 0 ? length : known, length - Math.ceil(shortestMs / history.step_ms)));
	return /** @type {History} */ (Object.fromEntries(Object.entries(history).map(([name, series]) => [name, Array.isArray(series) && series.length === length ? series.slice(first) : series])));
}

/** @param {number} ms */
const milliseconds = (ms) => duration(ms / 1000);

/** @typedef {"in" | "out" | "requeued" | "timed_out" | "depth" | "in_flight" | "deferred" | "sync_p99_ms" | "disk_free_bytes"} Name */

/** @type {{title: string, format: (n: number) => string, lines: [string, Name, string][]}[]} */
const charts = [
	{ title: "Messages a second", format: rate, lines: [["in", "in", "series-1"], ["out", "out", "series-2"]] },
	{ title: "Depth", format: short, lines: [["waiting", "depth", "series-1"]] },
	{ title: "In flight and deferred", format: short, lines: [["in flight", "in_flight", "series-1"], ["deferred", "deferred", "series-3"]] },
	{ title: "Trouble a second", format: rate, lines: [["requeued", "requeued", "series-2"], ["timed out", "timed_out", "series-4"]] },
	{ title: "Sync latency", format: milliseconds, lines: [["p99", "sync_p99_ms", "series-3"]] },
	{ title: "Free disk", format: bytes, lines: [["free", "disk_free_bytes", "series-1"]] },
];

/**
 * Charts of a history that is loaded already.
 * @param {{history: History | null}} props
 */
export function Charts({ history }) {
	const times = useMemo(() => timesOf(history), [history]);
	return html`<div class="charts">${charts
		.filter((c) => !history || c.lines.some(([, name]) => history[name]))
		.map((c) => html`<${Chart} key=${c.title} title=${c.title} format=${c.format} times=${times}
			lines=${c.lines.map(([label, name, colour]) => ({ label, colour, values: history?.[name] ?? [] }))} />`)}</div>`;
}

/** @param {History | null} history */
function timesOf(history) {
	if (!history) return [];
	const { length } = history.in;
	return Array.from({ length }, (_, i) => (history.end_ms - (length - 1 - i) * history.step_ms) / 1000);
}

/**
 * Charts of the last hour.
 * @param {{of: {node?: string, topic?: string, channel?: string}}} props
 */
export function HistoryCharts({ of }) {
	const loaded = useHistory(of);
	return html`${loaded.error ? html`<p class="notice warn" role="alert">The last hour cannot be shown: ${loaded.error.message}.</p>` : null}
		<${Charts} history=${loaded.data} />`;
}
