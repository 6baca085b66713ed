// A list of messages: one line each, opened to its facts, its body and what can be done with it.
import { useEffect, useMemo, useState } from "../vendor/hooks.mjs";
import { html } from "./html.js";
import { getBytes, pathOf, request } from "./api.js";
import { Body, decodeBase64, named, preview } from "./body.js";
import { ask } from "./dialog.js";
import { bytes, count, moment, relative } from "./format.js";
import { republish } from "./publish.js";
import { useMayChange } from "./session.js";

/** @typedef {import("./model.js").Message} Message */

/**
 * Where messages come from.
 * @typedef {{node: string, topic: string, channel?: string}} Origin
 */

/**
 * The path, below the base path, of what a node's API has about a topic.
 * @param {Origin} origin
 * @param {...(string | number)} rest
 */
export function nodePath({ node, topic }, ...rest) {
	return `api/v1/nodes/${pathOf(node, "topics", topic, ...rest.map(String))}`;
}

/**
 * @param {{messages: Message[], origin: Origin, then: () => void, empty: string}} props
 */
export function MessageList({ messages, origin, then, empty }) {
	if (messages.length === 0) return html`<p class="panel blank">${empty}</p>`;
	return html`<div class="panel" role="list" aria-label="Messages">${messages.map((m) =>
		html`<${MessageItem} key=${`${m.partition} ${m.offset}`} message=${m} origin=${origin} then=${then} />`)}</div>`;
}

/** @param {{message: Message, origin: Origin, then: () => void}} props */
function MessageItem({ message: m, origin, then }) {
	const [open, setOpen] = useState(false);
	const raw = useMemo(() => decodeBase64(m.body), [m.body]);
	return html`<div class="message" role="listitem">
		<button class="plain message-row" aria-expanded=${open} onClick=${() => setOpen(!open)}>
			<span class="muted" aria-hidden="true">${open ? "▾" : "▸"}</span>
			<span class="mono">${m.offset}</span>
			<span class="muted">${moment(m.time_ms)}</span>
			<span class="number muted size">${bytes(m.size)}</span>
			<span class="preview mono">${state(m)}${preview(raw)}</span>
		</button>
		${open ? html`<${OpenMessage} message=${m} raw=${raw} origin=${origin} then=${then} />` : null}
	</div>`;
}

/** What a list says of a message's state, before its body. @param {Message} m */
function state(m) {
	if (m.state === "in_flight") return html`<span class="badge">${m.consumer?.client_id || m.consumer?.remote_address || "in flight"}</span> <span class="muted">attempt ${m.attempts ?? 0}, times out ${relative(m.deadline_ms)}</span> `;
	if (m.state === "deferred") return html`<span class="badge">due ${relative(m.due_ms)}</span> `;
	if (m.state === "waiting" && m.attempts) return html`<span class="badge quiet">attempt ${m.attempts}</span> `;
	return null;
}

/** @param {{message: Message, raw: Uint8Array, origin: Origin, then: () => void}} props */
function OpenMessage({ message: m, raw, origin, then }) {
	const mayChange = useMayChange();
	const { whole, error } = useWholeBody(m, raw, origin);
	const path = nodePath(origin, "messages", m.partition, m.offset);
	/** @type {[string, import("./html.js").Children][]} */
	const facts = [["Id", html`<span class="mono">${m.id}</span>`], ["Offset", `${m.offset} of partition ${m.partition}`], ["Published", html`${moment(m.time_ms)} <span class="muted">${relative(m.time_ms)}</span>`]];
	if (m.due_ms) facts.push(["Due", html`${moment(m.due_ms)} <span class="muted">${relative(m.due_ms)}</span>`]);
	if (m.attempts !== undefined) facts.push(["Attempts", count(m.attempts)]);
	if (m.consumer) facts.push(["Consumer", `${m.consumer.client_id || m.consumer.hostname} at ${m.consumer.remote_address}`]);
	if (m.delivered_ms) facts.push(["Delivered", moment(m.delivered_ms)]);
	if (m.deadline_ms) facts.push(["Times out", html`${moment(m.deadline_ms)} <span class="muted">${relative(m.deadline_ms)}</span>`]);
	if (m.key) facts.push(["Key", html`<span class="mono">${preview(decodeBase64(m.key))}</span>`]);
	for (const h of m.headers ?? []) facts.push([`Header ${h.name}`, html`<span class="mono">${preview(decodeBase64(h.value))}</span>`]);
	return html`<div class="message-open">
		<dl class="facts">${facts.map(([name, value]) => html`<div key=${name}><dt>${named(name)}</dt><dd>${value}</dd></div>`)}</dl>
		${error ? html`<p class="notice warn" role="alert">Only the beginning of the body can be shown: ${error}.</p>` : null}
		<${Body} raw=${whole} size=${m.size} truncated=${whole.length < m.size} name=${`${origin.topic}-${m.partition}-${m.offset}`} />
		${mayChange ? html`<p class="message-actions">
			${origin.channel !== undefined ? html`
				<button class="button small" onClick=${() => finish(m, origin, then)}>Finish…</button>
				<button class="button small" onClick=${() => requeue(m, origin, then)}>Requeue…</button>` : null}
			<button class="button small" onClick=${() => republish(origin.topic, path)}>Republish…</button>
		</p>` : null}
	</div>`;
}

/**
 * The whole body; what the list had of it until that came.
 * @param {Message} m
 * @param {Uint8Array} raw
 * @param {Origin} origin
 */
function useWholeBody(m, raw, origin) {
	const [state, setState] = useState({ whole: raw, error: "" });
	useEffect(() => {
		if (!m.truncated) return;
		let gone = false;
		getBytes(nodePath(origin, "messages", m.partition, m.offset, "body")).then(
			(whole) => gone || setState({ whole, error: "" }),
			(err) => gone || setState({ whole: raw, error: err.message }));
		return () => {
			gone = true;
		};
	}, [m.partition, m.offset]);
	return state;
}

/** @param {Message} m @param {Origin} origin @param {() => void} then */
function finish(m, origin, then) {
	ask({
		title: "Finish this message?",
		text: html`<p>Offset ${m.offset} leaves the channel <b class="mono">${origin.channel}</b> as if a consumer had finished it.
			${m.state === "in_flight" ? "The consumer that has it now will be told that it is too late." : "Nobody will get it."} Other channels keep it.</p>`,
		does: "Finish",
		destroys: true,
		run: async () => {
			await request("POST", nodePath(origin, "channels", origin.channel ?? "", "messages", m.partition, m.offset, "finish"), {});
			then();
			return `Finished offset ${m.offset}`;
		},
	});
}

/** @param {Message} m @param {Origin} origin @param {() => void} then */
function requeue(m, origin, then) {
	ask({
		title: "Requeue this message?",
		text: html`<p>Offset ${m.offset} is delivered again by the channel <b class="mono">${origin.channel}</b>${m.state === "in_flight" ? "; it is taken from the consumer that has it now" : ""}.</p>`,
		fields: [{ name: "delay", label: "After", value: "0", type: "number", hint: "Milliseconds; 0 is at once." }],
		does: "Requeue",
		run: async (values) => {
			await request("POST", nodePath(origin, "channels", origin.channel ?? "", "messages", m.partition, m.offset, "requeue"), { delay_ms: Number(values.delay) });
			then();
			return `Requeued offset ${m.offset}`;
		},
	});
}
