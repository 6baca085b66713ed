// Tables: sortable, searchable, and drawn only where they are seen when they are long.
import { useEffect, useMemo, useRef, useState } from "../vendor/hooks.mjs";
import { html } from "./html.js";
import { count } from "./format.js";
import { setQuery, usePlace } from "./router.js";

/** @typedef {import("./html.js").Children} Children */

/**
 * A column. `value` is what rows are sorted by, and shown unless there is `cell`.
 * @template Row
 * @typedef {object} Column
 * @property {string} key
 * @property {string} title
 * @property {(row: Row) => string | number | null | undefined} value
 * @property {(row: Row) => Children} [cell]
 * @property {boolean} [number] right-aligned, first sorted from large to small
 * @property {boolean} [wide] left out on narrow screens
 * @property {string} [hint] the heading's tooltip
 */

/** From this many rows on, only those on the screen are in the page. */
const virtualFrom = 120;
const rowHeightPx = 36; // as in page.css
const overscanRows = 12;

/**
 * A table. The first column heads its row. Sorting stands in the address, under `name`, so that it survives a bookmark.
 * @template Row
 * @param {object} props
 * @param {string} props.name
 * @param {string} props.label what it lists, for screen readers
 * @param {Column<Row>[]} props.columns
 * @param {Row[]} props.rows
 * @param {(row: Row) => string} props.id
 * @param {string} [props.sort] to begin with: a column's key, with "-" before it from large to small
 * @param {Children} [props.empty] instead of rows
 * @param {(row: Row) => string | undefined} [props.rowClass]
 */
export function Table({ name, label, columns, rows, id, sort = columns[0].key, empty = "Nothing here.", rowClass }) {
	const chosen = usePlace().query.get(`${name}-sort`) ?? sort;
	const down = chosen.startsWith("-");
	const key = down ? chosen.slice(1) : chosen;
	const sorted = useMemo(() => {
		const column = columns.find((c) => c.key === key) ?? columns[0];
		return [...rows].sort((a, b) => (down ? -1 : 1) * compare(column.value(a), column.value(b)) || compare(id(a), id(b)));
	}, [rows, key, down]);
	const body = useRef(/** @type {HTMLElement | null} */ (null));
	const [from, to] = useVisible(body, sorted.length);

	/** @param {Column<Row>} column */
	const choose = (column) => {
		const next = column.key === key ? !down : Boolean(column.number);
		const value = (next ? "-" : "") + column.key;
		setQuery({ [`${name}-sort`]: value === sort ? null : value });
	};
	return html`<div class="table-scroll"><table aria-label=${label} aria-rowcount=${sorted.length + 1}>
		<thead><tr>${columns.map((c) => html`<th key=${c.key} scope="col" class=${columnClass(c)} title=${c.hint}
			aria-sort=${c.key === key ? (down ? "descending" : "ascending") : "none"}>
			<button class="plain sort" onClick=${() => choose(c)}>${c.title}</button></th>`)}</tr></thead>
		<tbody ref=${body}>
			${sorted.length === 0 ? html`<tr><td class="empty" colspan=${columns.length}>${empty}</td></tr>` : null}
			${from > 0 ? html`<${Space} key="above" rows=${from} />` : null}
			${sorted.slice(from, to).map((row, i) => html`<tr key=${id(row)} class=${rowClass?.(row)} aria-rowindex=${from + i + 2}>
				${columns.map((c, at) => at === 0
					? html`<th scope="row" class=${columnClass(c)}>${shown(c, row)}</th>`
					: html`<td class=${columnClass(c)}>${shown(c, row)}</td>`)}
			</tr>`)}
			${to < sorted.length ? html`<${Space} key="below" rows=${sorted.length - to} />` : null}
		</tbody>
	</table></div>`;
}

/** @param {{rows: number}} props */
function Space({ rows }) {
	return html`<tr class="space" aria-hidden="true" style=${{ height: `${rows * rowHeightPx}px` }}></tr>`;
}

/**
 * @template Row
 * @param {Column<Row>} c
 * @param {Row} row
 */
function shown(c, row) {
	if (c.cell) return c.cell(row);
	const value = c.value(row);
	return typeof value === "number" ? count(value) : value;
}

/** @param {Column<any>} c */
function columnClass(c) {
	return [c.number ? "number" : "", c.wide ? "wide" : ""].join(" ").trim() || undefined;
}

/**
 * Sorts numbers as numbers, text as people do (t2 before t10), and what is missing last.
 * @param {string | number | null | undefined} a
 * @param {string | number | null | undefined} b
 */
function compare(a, b) {
	if (a === b) return 0;
	if (a === null || a === undefined) return 1;
	if (b === null || b === undefined) return -1;
	if (typeof a === "number" && typeof b === "number") return a - b;
	return collator.compare(String(a), String(b));
}
const collator = new Intl.Collator("en", { numeric: true });

/**
 * Which rows of a long table are on the screen, and some around them.
 * @param {{current: HTMLElement | null}} body
 * @param {number} rows
 * @returns {[number, number]}
 */
function useVisible(body, rows) {
	const [top, setTop] = useState(0); // first row on the screen
	const virtual = rows > virtualFrom;
	useEffect(() => {
		if (!virtual) return;
		const look = () => {
			if (body.current) setTop(Math.max(0, Math.floor(-body.current.getBoundingClientRect().top / rowHeightPx)));
		};
		look();
		addEventListener("scroll", look, { passive: true });
		addEventListener("resize", look);
		return () => {
			removeEventListener("scroll", look);
			removeEventListener("resize", look);
		};
	}, [virtual]);
	if (!virtual) return [0, rows];
	const onScreen = Math.ceil(innerHeight / rowHeightPx);
	const last = Math.min(rows, top + onScreen + overscanRows);
	return [Math.max(0, Math.min(top - overscanRows, last - onScreen - overscanRows)), last];
}

/**
 * The search field of a page. What is typed stands in the address as q.
 * @param {{label: string, shown?: number, of?: number}} props
 */
export function Search({ label, shown: found, of }) {
	const q = usePlace().query.get("q") ?? "";
	return html`<div class="search">
		<input type="search" value=${q} placeholder=${label} aria-label=${label} aria-keyshortcuts="/" spellcheck=${false}
			onInput=${(/** @type {InputEvent} */ e) => setQuery({ q: /** @type {HTMLInputElement} */ (e.target).value })} />
		<kbd aria-hidden="true">/</kbd>
		${q && of !== undefined ? html`<span class="muted" role="status">${count(found)} of ${count(of)}</span>` : null}
	</div>`;
}

/**
 * Whether a text has all words of a search in it, in any case and order.
 * @param {string} search
 * @returns {(text: string) => boolean}
 */
export function matcher(search) {
	const words = search.toLowerCase().split(/\s+/).filter(Boolean);
	return (text) => {
		const lower = text.toLowerCase();
		return words.every((word) => lower.includes(word));
	};
}
