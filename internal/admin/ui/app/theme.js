// Light or dark: as the system says until the reader chooses, then remembered in this browser.
import { Store } from "./store.js";

/** @typedef {"system" | "light" | "dark"} Theme */

const key = "weir-theme";
const dark = matchMedia("(prefers-color-scheme: dark)");

/** @returns {Theme} */
function remembered() {
	try {
		const value = localStorage.getItem(key);
		if (value === "light" || value === "dark") return value;
	} catch { /* storage is refused: the system's choice it is */ }
	return "system";
}

export const theme = new Store(remembered());

/** Changes whenever colours do, so that canvases are drawn again. */
export const scheme = new Store(isDark() ? "dark" : "light");

function isDark() {
	return theme.value === "system" ? dark.matches : theme.value === "dark";
}

function apply() {
	if (theme.value === "system") delete document.documentElement.dataset.theme;
	else document.documentElement.dataset.theme = theme.value;
	scheme.set(isDark() ? "dark" : "light");
}

dark.addEventListener("change", apply);
apply();

/** Goes from what is shown now to the other of light and dark. */
export function toggleTheme() {
	theme.set(isDark() ? "light" : "dark");
	try {
		localStorage.setItem(key, theme.value);
	} catch { /* it holds until the page is closed */ }
	apply();
}

/**
 * What a colour of the palette is now, in a form that a canvas understands.
 * @param {string} name without the dashes: "series-1"
 */
export function colour(name) {
	const probe = document.createElement("span");
	probe.className = "probe";
	document.body.append(probe);
	probe.style.color = `var(--${name})`;
	const value = getComputedStyle(probe).color;
	probe.remove();
	return value;
}
