// Addresses: which page an URL means, and links that change it without loading anything. The paths are nsqadmin's.
import { html } from "./html.js";
import { Store, useStore } from "./store.js";

/** @param {string} name */
const meta = (name) => document.querySelector(`meta[name="${name}"]`)?.getAttribute("content") ?? "/";

/** The base path, with a slash at both ends, and the path of the static files. */
export const base = meta("weir-base");
export const staticPath = meta("weir-static");

/**
 * A place in the admin page: the parts of the path below the base, and the query.
 * @typedef {{parts: string[], query: URLSearchParams}} Place
 */

/** @returns {Place} */
function currentPlace() {
	const path = location.pathname.startsWith(base) ? location.pathname.slice(base.length) : location.pathname.slice(1);
	return { parts: path.split("/").filter(Boolean).map(decode), query: new URLSearchParams(location.search) };
}

/** @param {string} part */
function decode(part) {
	try {
		return decodeURIComponent(part);
	} catch {
		return part; // not ours: shown as it stands, as a page that does not exist
	}
}

const place = new Store(currentPlace());
addEventListener("popstate", () => place.set(currentPlace()));

/** The current place; the component is drawn again when it changes. */
export function usePlace() {
	return useStore(place);
}

/**
 * The address of a page: address("topics", "orders") → "/topics/orders".
 * @param {...string} parts
 */
export function address(...parts) {
	return base + parts.map(encodeURIComponent).join("/");
}

let arrived = false;

/** Whether the reader came to this page by a link of the last one and has not been told yet; for the heading, which takes the focus then. */
export function takeArrival() {
	const was = arrived;
	arrived = false;
	return was;
}

/**
 * Goes to an address of the admin page.
 * @param {string} href
 */
export function go(href) {
	const from = location.pathname;
	history.pushState(null, "", href);
	const elsewhere = location.pathname !== from; // not just another tab of the page
	if (elsewhere) arrived = true;
	place.set(currentPlace());
	if (elsewhere) scrollTo(0, 0);
}

/**
 * Changes the query of the current address in place; null removes a parameter.
 * @param {Record<string, string | null>} changes
 * @param {boolean} [push] as a step of its own for the browser's back button
 */
export function setQuery(changes, push = false) {
	const query = new URLSearchParams(location.search);
	for (const [name, value] of Object.entries(changes)) {
		if (value === null || value === "") query.delete(name);
		else query.set(name, value);
	}
	const text = query.toString();
	const href = location.pathname + (text ? `?${text}` : "");
	if (push) history.pushState(null, "", href);
	else history.replaceState(null, "", href);
	place.set(currentPlace());
}

/**
 * A link within the admin page. A plain click changes the place; anything else (a new tab, say) is left to the browser.
 * @param {{href: string, children?: import("./html.js").Children, [attribute: string]: any}} props
 */
export function Link({ href, children, ...attributes }) {
	/** @param {MouseEvent} event */
	const follow = (event) => {
		if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
		event.preventDefault();
		go(href);
	};
	return html`<a href=${href} onClick=${follow} ...${attributes}>${children}</a>`;
}
