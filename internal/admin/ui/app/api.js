// Requests to the admin page's server.
import { base } from "./router.js";

const patienceMs = 15_000;

/** A request that failed: the server's own words, or why none came. */
export class RequestError extends Error {
	/**
	 * @param {string} message for people
	 * @param {number} status of HTTP; 0 if no answer came
	 */
	constructor(message, status) {
		super(message);
		this.status = status;
	}
}

let csrf = "";

/**
 * Sets the value that shows the server that a request comes from this page.
 * @param {string} value
 */
export function setCSRF(value) {
	csrf = value;
}

/** @type {() => void} */
let onUnauthorized = () => {};

/**
 * Sets what is called when the server wants a login first.
 * @param {() => void} then
 */
export function whenUnauthorized(then) {
	onUnauthorized = then;
}

/**
 * Sends a request and returns the answer's JSON. Throws RequestError.
 * @param {string} method
 * @param {string} path below the base path, "api/topics"
 * @param {unknown} [body] sent as JSON
 * @returns {Promise<any>}
 */
export async function request(method, path, body) {
	const { response, raw } = await exchange(method, path, body);
	/** @type {any} */
	let answer;
	try {
		const text = new TextDecoder().decode(raw);
		answer = text === "" ? {} : JSON.parse(text);
	} catch {
		throw new RequestError(`the admin server's answer makes no sense (HTTP ${response.status})`, response.status);
	}
	if (response.status === 401) onUnauthorized();
	if (!response.ok) throw new RequestError(explain(answer, response.status), response.status);
	if (answer === null || typeof answer !== "object") throw new RequestError("the admin server's answer makes no sense", response.status);
	return answer;
}

/**
 * Gets bytes as they are. Throws RequestError.
 * @param {string} path below the base path
 * @returns {Promise<Uint8Array>}
 */
export async function getBytes(path) {
	const { response, raw } = await exchange("GET", path);
	if (!response.ok) throw new RequestError(`HTTP ${response.status}`, response.status);
	return raw;
}

/**
 * @param {string} method
 * @param {string} path
 * @param {unknown} [body]
 */
async function exchange(method, path, body) {
	/** @type {Record<string, string>} */
	const headers = { Accept: "application/json" };
	if (csrf !== "" && method !== "GET") headers["X-CSRF-Token"] = csrf;
	if (body !== undefined) headers["Content-Type"] = "application/json";
	try {
		const response = await fetch(base + path, {
			method, headers, body: body === undefined ? undefined : JSON.stringify(body),
			credentials: "same-origin", signal: AbortSignal.timeout(patienceMs),
		});
		return { response, raw: new Uint8Array(await response.arrayBuffer()) };
	} catch (err) {
		const late = err instanceof DOMException && err.name === "TimeoutError";
		throw new RequestError(late ? `no answer within ${patienceMs / 1000} s` : "the admin server cannot be reached", 0);
	}
}

/** @type {(path: string) => Promise<any>} */
export const get = (path) => request("GET", path);

/**
 * Joins parts of a path, encoded.
 * @param {...string} parts
 */
export function pathOf(...parts) {
	return parts.map(encodeURIComponent).join("/");
}

/** @type {Record<string, string>} */
const meanings = {
	LOGIN_REQUIRED: "a login is needed",
	BAD_TOKEN: "that is not a valid token",
	FORBIDDEN: "you may look, but not change anything",
	TOPIC_NOT_FOUND: "there is no such topic",
	CHANNEL_NOT_FOUND: "there is no such channel",
	NODE_NOT_FOUND: "there is no such node",
	NOT_FOUND: "there is nothing of that name",
	INVALID_TOPIC: "a topic's name has 1 to 64 letters, digits, dots, dashes or underscores",
	INVALID_CHANNEL: "a channel's name has 1 to 64 letters, digits, dots, dashes or underscores",
	INTERNAL_ERROR: "the admin server failed; its log says why",
};

/**
 * @param {any} answer
 * @param {number} status
 */
function explain(answer, status) {
	const word = answer?.error ?? answer?.message;
	if (typeof answer?.detail === "string" && answer.detail !== "") return meanings[word] ?? answer.detail;
	if (typeof word !== "string" || word === "") return `HTTP ${status}`;
	return meanings[word] ?? word.replace(/^UPSTREAM_ERROR: /, "");
}
