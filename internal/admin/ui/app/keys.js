// Keyboard shortcuts. Keys typed into fields stay there; those with Ctrl, Alt or Meta are the browser's.
import { address, go } from "./router.js";
import { toggleTheme } from "./theme.js";

/** @typedef {{keys: string, does: string}} Shortcut */

/** What the help lists. @type {Shortcut[]} */
export const shortcuts = [
	{ keys: "/", does: "search on this page" },
	{ keys: "j  k", does: "next, previous row" },
	{ keys: "Enter", does: "open the row" },
	{ keys: "g o", does: "overview" },
	{ keys: "g t", does: "topics" },
	{ keys: "g n", does: "nodes" },
	{ keys: "g l", does: "lookup" },
	{ keys: "g c", does: "counter" },
	{ keys: "d", does: "light or dark" },
	{ keys: "?", does: "this help" },
	{ keys: "Esc", does: "leave the search, close a dialog" },
];

/** @type {Record<string, string[]>} */
const places = { o: [], t: ["topics"], n: ["nodes"], l: ["lookup"], c: ["counter"] };
const secondKeyPatienceMs = 1500;

/**
 * Listens for shortcuts until the returned function is called.
 * @param {() => void} help shows the list of shortcuts
 */
export function listenForKeys(help) {
	let after = "";
	let afterAt = 0;
	/** @param {KeyboardEvent} event */
	const listen = (event) => {
		if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
		const target = /** @type {HTMLElement} */ (event.target);
		if (target.closest?.("input, textarea, select, [contenteditable]")) {
			if (event.key === "Escape") target.blur();
			return;
		}
		const first = Date.now() - afterAt < secondKeyPatienceMs ? after : "";
		after = "";
		if (first === "g" && places[event.key]) go(address(...places[event.key]));
		else if (event.key === "g") [after, afterAt] = ["g", Date.now()];
		else if (event.key === "/") focusSearch();
		else if (event.key === "j") stepRow(1);
		else if (event.key === "k") stepRow(-1);
		else if (event.key === "d") toggleTheme();
		else if (event.key === "?") help();
		else return;
		event.preventDefault();
	};
	addEventListener("keydown", listen);
	return () => removeEventListener("keydown", listen);
}

function focusSearch() {
	const field = /** @type {HTMLInputElement | null} */ (document.querySelector("input[type=search]"));
	field?.focus();
	field?.select();
}

/**
 * Moves the focus to the link of the next or previous row.
 * @param {1 | -1} by
 */
function stepRow(by) {
	const links = /** @type {HTMLElement[]} */ ([...document.querySelectorAll("tbody th a, .message-row")]);
	if (links.length === 0) return;
	const at = links.indexOf(/** @type {HTMLElement} */ (document.activeElement));
	const next = at < 0 ? (by > 0 ? 0 : links.length - 1) : Math.min(Math.max(at + by, 0), links.length - 1);
	links[next].focus();
	links[next].scrollIntoView({ block: "nearest" });
}
