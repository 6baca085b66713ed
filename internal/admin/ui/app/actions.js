// What can be done to topics and channels: each asks first, says what will happen, and reports what did.
import { ask } from "./dialog.js";
import { html } from "./html.js";
import { pathOf, request } from "./api.js";
import { address, go } from "./router.js";

/** Names that NSQ accepts, #ephemeral included. */
const namePattern = "[.a-zA-Z0-9_\\-]{1,64}(#ephemeral)?";

/**
 * A topic, or with a channel that channel of it.
 * @typedef {{topic: string, channel?: string}} Target
 */

/** @param {Target} t */
const pathTo = ({ topic, channel }) => `api/topics/${channel === undefined ? pathOf(topic) : pathOf(topic, channel)}`;

/** @param {Target} t */
const kindOf = ({ channel }) => (channel === undefined ? "topic" : "channel");

/** @param {Target} t */
const nameOf = ({ topic, channel }) => html`<b class="mono">${channel ?? topic}</b>`;

/**
 * @param {Target} target
 * @param {boolean} paused as it is now
 * @param {() => void} then
 */
export function pause(target, paused, then) {
	const kind = kindOf(target);
	const does = paused ? "Unpause" : "Pause";
	ask({
		title: `${does} this ${kind}?`,
		text: html`<p>${paused
			? html`Messages of ${nameOf(target)} are delivered again.`
			: kind === "topic"
				? html`Messages published to ${nameOf(target)} stay in the topic and reach no channel until it is unpaused.`
				: html`Consumers of ${nameOf(target)} get no messages until it is unpaused. What is in flight can be finished.`}</p>`,
		does,
		run: async () => {
			await request("POST", pathTo(target), { action: paused ? "unpause" : "pause" });
			then();
			return `${paused ? "Unpaused" : "Paused"} ${target.channel ?? target.topic}`;
		},
	});
}

/**
 * @param {Target} target
 * @param {string} holds what is in it now: "1,204 messages"
 * @param {() => void} then
 */
export function empty(target, holds, then) {
	ask({
		title: `Empty this ${kindOf(target)}?`,
		text: html`<p>${holds} of ${nameOf(target)} will not be delivered to anybody.
			${target.channel === undefined ? "Its channels keep what they already have." : "In flight and deferred messages go too."}</p>`,
		does: "Empty",
		destroys: true,
		retype: target.channel ?? target.topic,
		run: async () => {
			await request("POST", pathTo(target), { action: "empty" });
			then();
			return `Emptied ${target.channel ?? target.topic}`;
		},
	});
}

/**
 * @param {Target} target
 * @param {() => void} [then] instead of leaving the page, which is gone with what it showed
 */
export function remove(target, then) {
	const kind = kindOf(target);
	ask({
		title: `Delete this ${kind}?`,
		text: html`<p>${nameOf(target)} goes from every node${kind === "topic" ? ", with its channels and all messages" : ", with what it has not delivered"}.
			This cannot be undone. Clients that still use it will create it again.</p>`,
		does: "Delete",
		destroys: true,
		retype: target.channel ?? target.topic,
		run: async () => {
			await request("DELETE", pathTo(target));
			if (then) then();
			else go(kind === "topic" ? address("topics") : address("topics", target.topic));
			return `Deleted ${target.channel ?? target.topic}`;
		},
	});
}

/**
 * Hides a topic of a node from consumers and deletes it there.
 * @param {string} topic
 * @param {string} node host:port of HTTP
 * @param {() => void} then
 */
export function tombstone(topic, node, then) {
	ask({
		title: "Tombstone this topic on one node?",
		text: html`<p>Lookup will not send consumers of <b class="mono">${topic}</b> to <b class="mono">${node}</b> for a while, and the topic is
			deleted there with its messages. On other nodes it stays. Move the publishers first: a message published there creates it again.</p>`,
		does: "Tombstone",
		destroys: true,
		retype: topic,
		run: async () => {
			await request("DELETE", `api/nodes/${pathOf(node)}`, { topic });
			then();
			return `Tombstoned ${topic} on ${node}`;
		},
	});
}

/**
 * Creates a topic, or a channel, or both.
 * @param {string} topic to begin with; empty: to be typed
 * @param {() => void} then
 */
export function create(topic, then) {
	ask({
		title: topic ? "Create a channel" : "Create a topic",
		fields: [
			{ name: "topic", label: "Topic", value: topic, pattern: namePattern, hint: "Letters, digits, dots, dashes, underscores; #ephemeral at the end keeps it in memory only." },
			{ name: "channel", label: "Channel", optional: !topic, pattern: namePattern, hint: "The first channel of a topic gets the messages that wait in it." },
		],
		does: "Create",
		run: async (values) => {
			await request("POST", "api/topics", { topic: values.topic, channel: values.channel || undefined });
			then();
			return `Created ${values.channel ? `${values.topic} / ${values.channel}` : values.topic}`;
		},
	});
}
