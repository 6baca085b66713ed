// What a page shows: fetched, kept up to date, and kept on the page when an update fails.
import { useCallback, useEffect, useState } from "../vendor/hooks.mjs";
import { html } from "./html.js";
import { relative } from "./format.js";
import { RequestError } from "./api.js";

/**
 * @template T
 * @typedef {object} Loaded
 * @property {T | null} data the last that came; null before the first
 * @property {number} at when it came, Unix milliseconds
 * @property {RequestError | null} error of the last try
 * @property {() => Promise<void>} reload
 * @property {string[]} [warnings] of an answer that there is no such thing: perhaps a node that has it did not answer
 */

/**
 * Loads, and loads again every so often while the page is visible. A failed update keeps the data and sets the error.
 * @template T
 * @param {() => Promise<T>} load
 * @param {unknown[]} inputs what load depends on; if they change, the old data goes
 * @param {number} [everyMs] 0: once
 * @returns {Loaded<T>}
 */
export function useLoaded(load, inputs, everyMs = 0) {
	/** @type {{data: T | null, at: number, error: RequestError | null, key: string}} */
	const nothing = { data: null, at: 0, error: null, key: inputs.join("\0") };
	const [state, setState] = useState(nothing);
	const once = useCallback(async () => {
		try {
			const data = await load();
			setState({ data, at: Date.now(), error: null, key: nothing.key });
		} catch (err) {
			const error = err instanceof RequestError ? err : new RequestError(String(err), 0);
			setState((old) => ({ ...(old.key === nothing.key ? old : nothing), error }));
		}
	}, inputs);
	useEffect(() => {
		let stopped = false;
		/** @type {ReturnType<typeof setTimeout> | undefined} */
		let timer;
		const round = async () => {
			if (document.visibilityState === "visible" || everyMs === 0) await once();
			if (!stopped && everyMs > 0) timer = setTimeout(round, everyMs);
		};
		round();
		return () => {
			stopped = true;
			clearTimeout(timer);
		};
	}, [once, everyMs]);
	const current = state.key === nothing.key ? state : nothing;
	return { data: current.data, at: current.at, error: current.error, reload: once };
}

/**
 * What stands in for data that has not come, and warns of data that is old or not whole.
 * @param {{loaded: Loaded<any>, what: string, children?: import("./html.js").Children}} props
 */
export function Whole({ loaded, what, children }) {
	const { data, at, error, reload } = loaded;
	if (!data && error) {
		return html`<div class="panel blank" role="alert">
			<h2>${error.status === 404 ? `No such ${what}` : `The ${what} cannot be shown`}</h2>
			<p>${error.message}.</p>
			<button class="button" onClick=${reload}>Try again</button>
		</div>
		<${Warnings} warnings=${loaded.warnings ?? []} />`;
	}
	if (!data) return html`<p class="starting" role="status">Loading…</p>`;
	return html`
		${error ? html`<p class="notice warn" role="alert">These figures are from ${relative(at)}: ${error.message}.</p>` : null}
		<${Warnings} warnings=${data.warnings ?? (data.message ? [data.message] : [])} />
		${children}`;
}

const shownWarnings = 10;

/**
 * What an answer leaves out: some of the nodes did not say theirs, or nonsense.
 * @param {{warnings: string[]}} props
 */
function Warnings({ warnings }) {
	const lines = [warnings].flat().map((w) => String(w).replace(/^WARNING: /, "").trim()).filter(Boolean);
	if (lines.length === 0) return null;
	return html`<div class="notice warn" role="alert">
		<b>Not the whole picture.</b> ${lines.length === 1 ? lines[0] : html`<ul>
			${lines.slice(0, shownWarnings).map((l, i) => html`<li key=${i}>${l}</li>`)}
			${lines.length > shownWarnings ? html`<li>and ${lines.length - shownWarnings} more</li>` : null}
		</ul>`}
	</div>`;
}
