// Short words about what an action did, for sighted readers and screen readers alike.
import { html } from "./html.js";
import { Store, useStore } from "./store.js";

/** @typedef {{id: number, text: string, kind: "good" | "bad"}} Toast */

const shownMs = 6_000;
const shownAtMost = 4;
let last = 0;

const toasts = new Store(/** @type {Toast[]} */ ([]));

/**
 * Shows a line of text for a few seconds.
 * @param {string} text
 * @param {"good" | "bad"} [kind]
 */
export function toast(text, kind = "good") {
	const id = ++last;
	toasts.set([...toasts.value, { id, text, kind }].slice(-shownAtMost));
	setTimeout(() => dismiss(id), kind === "bad" ? 2 * shownMs : shownMs);
}

/** @param {number} id */
function dismiss(id) {
	toasts.set(toasts.value.filter((t) => t.id !== id));
}

export function Toasts() {
	return html`<div class="toasts" role="status" aria-live="polite">
		${useStore(toasts).map((t) => html`<p key=${t.id} class=${`toast ${t.kind}`}>
			<span>${t.text}</span>
			<button class="plain" aria-label="Dismiss" onClick=${() => dismiss(t.id)}>×</button>
		</p>`)}
	</div>`;
}
