// How full a disk is, and when it will be.
import { html } from "./html.js";
import { duration } from "./format.js";

/** @typedef {import("./model.js").Disk} Disk */

/** @param {{disk: Disk}} props */
export function Meter({ disk }) {
	const used = disk.total_bytes > 0 ? 1 - disk.free_bytes / disk.total_bytes : 0;
	const percent = Math.min(100, Math.max(0, Math.round(used * 100)));
	return html`<div class=${`meter ${percent >= 95 ? "bad" : percent >= 85 ? "warn" : ""}`} role="meter" aria-label="disk in use"
		aria-valuemin="0" aria-valuemax="100" aria-valuenow=${percent}><i style=${{ width: `${percent}%` }}></i></div>`;
}

/** @param {Disk} disk */
export function fullIn(disk) {
	return disk.full_in_s === null ? "not filling" : `full in ${duration(disk.full_in_s)}`;
}
