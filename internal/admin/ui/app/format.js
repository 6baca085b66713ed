// Numbers, sizes and times as people read them.

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat("en-US", { maximumFractionDigits: 1, minimumFractionDigits: 1 });
const compact = new Intl.NumberFormat("en-US", { notation: "compact", maximumSignificantDigits: 3 });

/** Stands for a figure that is not known. */
export const unknown = "–";

/**
 * 1234567 → "1,234,567"
 * @param {number | null | undefined} n
 */
export function count(n) {
	return known(n) ? whole.format(n) : unknown;
}

/**
 * 1234567 → "1.23M"; below ten thousand in full.
 * @param {number | null | undefined} n
 */
export function short(n) {
	if (!known(n)) return unknown;
	return Math.abs(n) < 10_000 ? whole.format(n) : compact.format(n);
}

/**
 * Messages a second: "0", "3.4", "1,234", "1.2M".
 * @param {number | null | undefined} n
 */
export function rate(n) {
	if (!known(n)) return unknown;
	if (n === 0) return "0";
	return n < 10 ? tenth.format(n) : short(Math.round(n));
}

/**
 * 1536 → "1.5 KiB"
 * @param {number | null | undefined} n
 */
export function bytes(n) {
	if (!known(n)) return unknown;
	const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
	let unit = 0;
	while (Math.abs(n) >= 1024 && unit < units.length - 1) {
		n /= 1024;
		unit++;
	}
	return `${unit === 0 || Math.abs(n) >= 100 ? whole.format(n) : tenth.format(n)} ${units[unit]}`;
}

/**
 * A duration in seconds, two units at most: "840 µs", "12 ms", "3.4 s", "5 min 3 s", "2 d 4 h".
 * @param {number | null | undefined} s
 * @returns {string}
 */
export function duration(s) {
	if (!known(s)) return unknown;
	if (s < 0) return `−${duration(-s)}`;
	if (s === 0) return "0 s";
	if (s < 0.001) return `${whole.format(s * 1e6)} µs`;
	if (s < 0.01) return `${tenth.format(s * 1e3)} ms`;
	if (s < 1) return `${whole.format(s * 1e3)} ms`;
	if (s < 10) return `${tenth.format(s)} s`;
	/** @type {[number, string][]} */
	const units = [[31_557_600, "y"], [86_400, "d"], [3_600, "h"], [60, "min"], [1, "s"]];
	const first = units.findIndex(([size]) => s >= size);
	const [size, name] = units[first];
	const n = Math.floor(s / size);
	const next = units[first + 1];
	const rest = next ? Math.floor((s - n * size) / next[0]) : 0;
	return rest > 0 && next ? `${n} ${name} ${rest} ${next[1]}` : `${n} ${name}`;
}

/**
 * How long ago, or until, a moment in Unix milliseconds is: "3 min ago", "in 20 s".
 * @param {number | null | undefined} ms
 * @param {number} [now] Unix milliseconds
 */
export function relative(ms, now = Date.now()) {
	if (!known(ms)) return unknown;
	const s = Math.round((ms - now) / 1000);
	if (s === 0) return "now";
	return s < 0 ? `${duration(-s)} ago` : `in ${duration(s)}`;
}

/**
 * A moment in Unix milliseconds, in the reader's time zone, to the millisecond: "2026-11-21 06:05:09.123".
 * @param {number | null | undefined} ms
 */
export function moment(ms) {
	if (!known(ms)) return unknown;
	const d = new Date(ms);
	if (Number.isNaN(d.getTime())) return unknown;
	/** @param {number} n @param {number} [width] */
	const pad = (n, width = 2) => String(n).padStart(width, "0");
	return `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())} ` +
		`${pad(d.getHours())}:${pad(d.getMinutes())}:${pad(d.getSeconds())}.${pad(d.getMilliseconds(), 3)}`;
}

/**
 * "1 topic", "3 topics"
 * @param {number} n
 * @param {string} one
 * @param {string} [many]
 */
export function plural(n, one, many = one + "s") {
	return `${count(n)} ${n === 1 ? one : many}`;
}

/**
 * @param {number | null | undefined} n
 * @returns {n is number}
 */
function known(n) {
	return typeof n === "number" && Number.isFinite(n);
}
