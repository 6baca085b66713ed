// Charts over time (uPlot, loaded when the first is drawn) and sparklines.
import { useEffect, useRef, useState } from "../vendor/hooks.mjs";
import { html } from "./html.js";
import { staticPath } from "./router.js";
import { useStore } from "./store.js";
import { colour, scheme } from "./theme.js";

/**
 * A line of a chart: values[i] belongs to the chart's times[i]; null is a gap.
 * @typedef {{label: string, colour: string, values: (number | null)[]}} Line
 */

const heightPx = 168;

/** @type {Promise<any> | null} */
let loading = null;

/** uPlot's constructor. It is a classic script, which leaves it in a global variable. @returns {Promise<any>} */
function loadUPlot() {
	loading ??= new Promise((resolve, reject) => {
		const sheet = document.createElement("link");
		sheet.rel = "stylesheet";
		sheet.href = `${staticPath}vendor/uPlot.css`;
		const script = document.createElement("script");
		script.src = `${staticPath}vendor/uPlot.js`;
		script.onload = () => resolve(/** @type {any} */ (globalThis).uPlot);
		script.onerror = () => reject(new Error("the chart library did not load"));
		document.head.append(sheet, script);
	});
	return loading;
}

/**
 * A chart of one or more lines over the same times.
 * @param {object} props
 * @param {string} props.title
 * @param {number[]} props.times Unix seconds, rising
 * @param {Line[]} props.lines
 * @param {(n: number) => string} props.format of a value, on the axis and in the legend
 */
export function Chart({ title, times, lines, format }) {
	const box = useRef(/** @type {HTMLElement | null} */ (null));
	const plot = useRef(/** @type {any} */ (null));
	const [at, setAt] = useState(/** @type {number | null} */ (null)); // the time under the pointer
	const drawn = useStore(scheme);
	const latest = useRef({ times, lines });
	latest.current = { times, lines };
	const shape = lines.map((l) => l.label + l.colour).join();

	useEffect(() => {
		const element = box.current;
		if (!element) return;
		let gone = false;
		const observer = new ResizeObserver(() => plot.current?.setSize({ width: element.clientWidth, height: heightPx }));
		loadUPlot().then((uPlot) => {
			if (gone) return;
			plot.current = new uPlot(options(uPlot, element, latest.current.lines, format, setAt), data(latest.current), element);
			observer.observe(element);
		}, () => { /* the figures beside the chart are there all the same */ });
		return () => {
			gone = true;
			observer.disconnect();
			plot.current?.destroy();
			plot.current = null;
		};
	}, [drawn, shape]);
	useEffect(() => plot.current?.setData(data({ times, lines })), [times, lines]);

	const index = at !== null && at < times.length ? at : times.length - 1;
	return html`<figure class="chart panel">
		<figcaption>
			<span class="chart-title">${title}</span>
			<span class="legend">${lines.map((l) => html`<span key=${l.label} class="legend-item">
				<i class=${`swatch ${l.colour}`}></i>${l.label} <b>${formatted(l.values[index], format)}</b></span>`)}</span>
		</figcaption>
		<div class="chart-box" ref=${box} aria-hidden="true">
			${times.length === 0 ? html`<p class="muted chart-empty">No samples yet.</p>` : null}
		</div>
	</figure>`;
}

/** @param {number | null | undefined} value @param {(n: number) => string} format */
function formatted(value, format) {
	return value === null || value === undefined ? "–" : format(value);
}

/** @param {{times: number[], lines: Line[]}} what */
function data({ times, lines }) {
	return [times, ...lines.map((l) => l.values)];
}

/**
 * @param {any} uPlot
 * @param {HTMLElement} element
 * @param {Line[]} lines
 * @param {(n: number) => string} format
 * @param {(index: number | null) => void} setAt
 */
function options(uPlot, element, lines, format, setAt) {
	const muted = colour("muted");
	const grid = { stroke: colour("line"), width: 1 };
	const font = `11px ${getComputedStyle(document.body).fontFamily}`;
	return {
		width: element.clientWidth,
		height: heightPx,
		padding: [8, 18, 0, 0],
		legend: { show: false },
		cursor: { sync: { key: uPlot.sync("weir").key }, points: { size: 6 }, drag: { x: false, y: false }, y: false },
		scales: { y: { range: (/** @type {any} */ _, /** @type {number} */ _min, /** @type {number} */ max) => [0, max > 0 ? max * 1.1 : 1] } },
		axes: [
			{ stroke: muted, grid, ticks: { show: false }, font, size: 28, space: 70, values: hours },
			{ stroke: muted, grid, ticks: { show: false }, font, size: 56, space: 36, values: (/** @type {any} */ _, /** @type {number[]} */ splits) => splits.map(format) },
		],
		series: [{}, ...lines.map((l) => ({ label: l.label, stroke: colour(l.colour), width: 1.75, points: { show: false }, spanGaps: false }))],
		hooks: { setCursor: [(/** @type {any} */ u) => setAt(u.cursor.idx ?? null)] },
	};
}

/** @param {any} _ @param {number[]} splits Unix seconds */
function hours(_, splits) {
	const seconds = splits.length > 1 && splits[1] - splits[0] < 60;
	return splits.map((s) => {
		const d = new Date(s * 1000);
		const text = `${String(d.getHours()).padStart(2, "0")}:${String(d.getMinutes()).padStart(2, "0")}`;
		return seconds ? `${text}:${String(d.getSeconds()).padStart(2, "0")}` : text;
	});
}

const sparkWidth = 96;
const sparkHeight = 22;

/**
 * The course of a figure, as small as a word. Nothing but decoration: the figure stands beside it.
 * @param {{values: (number | null)[], colour?: string}} props
 */
export function Sparkline({ values, colour: name = "series-1" }) {
	const known = values.filter((v) => v !== null);
	if (known.length < 2) return html`<svg class="spark" width=${sparkWidth} height=${sparkHeight} aria-hidden="true"></svg>`;
	const top = Math.max(...known, 1e-9);
	const step = sparkWidth / (known.length - 1);
	const points = known.map((v, i) => `${(i * step).toFixed(1)},${(sparkHeight - 1 - (v / top) * (sparkHeight - 3)).toFixed(1)}`);
	return html`<svg class=${`spark ${name}`} viewBox=${`0 0 ${sparkWidth} ${sparkHeight}`} width=${sparkWidth} height=${sparkHeight}
		preserveAspectRatio="none" aria-hidden="true">
		<polyline points=${points.join(" ")} fill="none" stroke-width="1.5" vector-effect="non-scaling-stroke" />
	</svg>`;
}
