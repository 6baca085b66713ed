// A message's body as text, JSON tree or hex. Bodies are hostile until proven otherwise: they become text nodes, and characters that
// act on what is around them (controls, direction marks) are drawn as names.
import { useMemo, useState } from "../vendor/hooks.mjs";
import { html } from "./html.js";
import { bytes, count, plural } from "./format.js";

/** @typedef {"text" | "json" | "hex"} View */

const textStep = 32 * 1024; // characters shown at first, and more at each request
const hexStep = 2 * 1024; // bytes
const childrenStep = 100;
const openDepth = 3; // levels of a small JSON tree that are open at first
const jsonLimitBytes = 4 * 1024 * 1024;

/**
 * The bytes of a base64 text.
 * @param {string} base64
 */
export function decodeBase64(base64) {
	const binary = atob(base64);
	const out = new Uint8Array(binary.length);
	for (let i = 0; i < binary.length; i++) out[i] = binary.charCodeAt(i);
	return out;
}

/**
 * A JSON document, or undefined. Numbers stand as they are written, so that no digit of a large one is lost.
 * @param {string} text
 * @returns {{value: any} | undefined}
 */
function parseJSON(text) {
	try {
		return {
			value: JSON.parse(text, /** @type {any} */ ((/** @type {string} */ _, /** @type {any} */ value, /** @type {any} */ context) =>
				typeof value === "number" && context?.source ? new Written(context.source) : value)),
		};
	} catch {
		return undefined;
	}
}

/** A number as its document writes it. */
class Written {
	/** @param {string} source */
	constructor(source) {
		this.source = source;
	}
}

/**
 * @param {Uint8Array} raw
 * @returns {{text: string, valid: boolean}}
 */
function decodeText(raw) {
	try {
		return { text: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(raw), valid: true };
	} catch {
		return { text: new TextDecoder("utf-8", { ignoreBOM: true }).decode(raw), valid: false };
	}
}

/**
 * The first characters of a body, on one line, for lists.
 * @param {Uint8Array} raw
 * @param {number} [characters]
 */
export function preview(raw, characters = 160) {
	const { text } = decodeText(raw.subarray(0, characters * 4));
	return named(text.slice(0, characters).replace(/\s+/g, " "));
}

/**
 * @param {object} props
 * @param {Uint8Array} props.raw
 * @param {boolean} [props.truncated] the body goes on beyond raw
 * @param {number} [props.size] of the whole body, in bytes
 * @param {string} [props.name] of the file that the body can be saved as
 */
export function Body({ raw, truncated = false, size = raw.length, name = "message" }) {
	const { text, valid } = useMemo(() => decodeText(raw), [raw]);
	const json = useMemo(() => (valid && raw.length <= jsonLimitBytes && /^\s*[[{]/.test(text) ? parseJSON(text) : undefined), [text]);
	const [chosen, choose] = useState(/** @type {View | null} */ (null));
	const view = chosen ?? (json ? "json" : valid ? "text" : "hex");
	/** @type {[View, string, boolean][]} */
	const views = [["text", "Text", true], ["json", "JSON", json !== undefined], ["hex", "Hex", true]];
	return html`<div class="body">
		<div class="body-bar">
			<div class="segments" role="group" aria-label="Show the body as">
				${views.map(([v, title, there]) => html`<button key=${v} aria-pressed=${v === view} disabled=${!there} onClick=${() => choose(v)}>${title}</button>`)}
			</div>
			<span class="muted">${bytes(size)}${valid ? "" : ", not UTF-8"}${truncated ? html`, <b class="warn">first ${bytes(raw.length)} shown</b>` : ""}</span>
			<span class="push"></span>
			<button class="plain" onClick=${() => navigator.clipboard?.writeText(text)}>Copy</button>
			<button class="plain" onClick=${() => save(raw, name)}>Save</button>
		</div>
		${view === "json" && json ? html`<div class="json" tabindex="0"><${JSONNode} value=${json.value} open=${true} /></div>` : null}
		${view === "text" ? html`<${Text} key=${text} text=${text} />` : null}
		${view === "hex" ? html`<${Hex} raw=${raw} />` : null}
	</div>`;
}

/** @param {Uint8Array} raw @param {string} name */
function save(raw, name) {
	const link = document.createElement("a");
	link.href = URL.createObjectURL(new Blob([/** @type {BlobPart} */ (raw)], { type: "application/octet-stream" }));
	link.download = name;
	link.click();
	setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** @param {{text: string}} props */
function Text({ text }) {
	const [limit, setLimit] = useState(textStep);
	if (text === "") return html`<p class="muted">Empty.</p>`;
	return html`<pre class="text" tabindex="0">${named(text.slice(0, limit))}</pre>
		${text.length > limit ? html`<${More} left=${text.length - limit} what="character" more=${() => setLimit(limit * 4)} />` : null}`;
}

/** @param {{left: number, what: string, more: () => void}} props */
function More({ left, what, more }) {
	return html`<p><button class="button small" onClick=${more}>Show more</button> <span class="muted">${plural(left, what)} left</span></p>`;
}

// C0 and C1 controls but tab and newline; marks of direction; invisible joiners; the byte order mark.
const acting = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/;
const actingRuns = new RegExp(`(${acting.source})`);

/**
 * A text whose acting characters are drawn as names.
 * @param {string} text
 */
export function named(text) {
	if (!acting.test(text)) return text;
	return text.split(actingRuns).map((part, i) => (i % 2 === 0 ? part : html`<span class="control" title="control character">${nameOf(part)}</span>`));
}

/** ASCII's names of the characters below the space. */
const c0 = ("NUL SOH STX ETX EOT ENQ ACK BEL BS HT LF VT FF CR SO SI DLE DC1 DC2 DC3 DC4 NAK SYN ETB CAN EM SUB ESC FS GS RS US").split(" ");

/** @param {string} character */
function nameOf(character) {
	const code = character.charCodeAt(0);
	if (code < 0x20) return c0[code];
	if (code === 0x7f) return "DEL";
	return `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
}

/** @param {{raw: Uint8Array}} props */
function Hex({ raw }) {
	const [limit, setLimit] = useState(hexStep);
	const lines = useMemo(() => {
		const out = [];
		const end = Math.min(limit, raw.length);
		for (let at = 0; at < end; at += 16) {
			const row = raw.subarray(at, Math.min(at + 16, end));
			const codes = [...row].map((b) => b.toString(16).padStart(2, "0")).join(" ").padEnd(47);
			const letters = [...row].map((b) => (b >= 0x20 && b < 0x7f ? String.fromCharCode(b) : "·")).join("");
			out.push(`${at.toString(16).padStart(8, "0")}  ${codes}  ${letters}`);
		}
		return out.join("\n");
	}, [raw, limit]);
	return html`<pre class="hex" tabindex="0">${lines}</pre>
		${raw.length > limit ? html`<${More} left=${raw.length - limit} what="byte" more=${() => setLimit(limit * 4)} />` : null}`;
}

/**
 * A value of a JSON document; what it holds is drawn when it is opened.
 * @param {{name?: string, value: any, open?: boolean, depth?: number}} props
 */
function JSONNode({ name, value, open = false, depth = 0 }) {
	const [opened, setOpened] = useState(open);
	const [limit, setLimit] = useState(childrenStep);
	const key = name === undefined ? null : html`<span class="json-key">${named(name)}</span>: `;
	if (value === null || typeof value !== "object" || value instanceof Written) return html`<div class="json-leaf">${key}<${Leaf} value=${value} /></div>`;
	const list = Array.isArray(value);
	const names = list ? null : Object.keys(value);
	const size = names ? names.length : value.length;
	const summary = list ? `[${plural(size, "item")}]` : `{${plural(size, "key")}}`;
	if (size === 0) return html`<div class="json-leaf">${key}${list ? "[]" : "{}"}</div>`;
	return html`<div class="json-node">
		<button class="plain json-toggle" aria-expanded=${opened} onClick=${() => setOpened(!opened)}>${key}<span class="muted">${summary}</span></button>
		${opened ? html`<div class="json-children">
			${Array.from({ length: Math.min(limit, size) }, (_, i) => {
				const child = names ? names[i] : String(i);
				return html`<${JSONNode} key=${child} name=${child} value=${names ? value[child] : value[i]} depth=${depth + 1} open=${open && size <= 20 && depth < openDepth} />`;
			})}
			${size > limit ? html`<${More} left=${size - limit} what="entry" more=${() => setLimit(limit * 4)} />` : null}
		</div>` : null}
	</div>`;
}

/** @param {{value: any}} props */
function Leaf({ value }) {
	if (value instanceof Written) return html`<span class="json-number">${value.source}</span>`;
	if (typeof value === "string") return html`<span class="json-string">"${named(value.length > textStep ? `${value.slice(0, textStep)}… (${count(value.length)} characters)` : value)}"</span>`;
	return html`<span class="json-word">${String(value)}</span>`;
}
