// Small parts that several pages show: a figure with its name, and tabs.
import { html } from "./html.js";
import { Sparkline } from "./chart.js";
import { Link, usePlace } from "./router.js";

/** @typedef {import("./html.js").Children} Children */

/**
 * A figure with its name.
 * @param {{name: string, value: string, unit?: string, note?: Children, course?: (number | null)[], colour?: string, alarm?: boolean}} props
 */
export function Tile({ name, value, unit = "", note, course, colour, alarm = false }) {
	return html`<div class=${`tile panel${alarm ? " alarm" : ""}`}>
		<span class="name">${name}</span>
		<span class="figure">${value}${unit ? html`<small>${unit}</small>` : null}</span>
		${note !== undefined ? html`<span class="note">${note}</span>` : null}
		${course ? html`<${Sparkline} values=${course} colour=${colour} />` : null}
	</div>`;
}

/**
 * Parts of a page, one shown at a time. Which one stands in the address, under `param`; choosing another drops what the old one kept there.
 * @param {{param: string, current: string, tabs: [string, string][]}} props
 */
export function Tabs({ param, current, tabs }) {
	usePlace();
	return html`<nav class="tabs" aria-label="Parts of this page">${tabs.map(([key, title], i) =>
		html`<${Link} key=${key} href=${`${location.pathname}${i === 0 ? "" : `?${param}=${key}`}`} aria-current=${key === current ? "page" : undefined}>${title}<//>`)}</nav>`;
}
