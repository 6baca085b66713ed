// Publishing a message, or a copy of one, by hand.
import { ask } from "./dialog.js";
import { plural } from "./format.js";
import { request } from "./api.js";

/** @type {import("./dialog.js").Field} */
const deferField = { name: "defer", label: "Deliver after", value: "0", type: "number", hint: "Milliseconds; 0 is at once." };

/**
 * @param {string} topic
 * @param {() => void} then
 */
export function publish(topic, then) {
	ask({
		title: `Publish to ${topic}`,
		fields: [
			{ name: "text", label: "Message", type: "textarea" },
			deferField,
			{ name: "count", label: "Copies", value: "1", type: "number" },
		],
		does: "Publish",
		run: async (values) => {
			const done = await request("POST", "api/v1/publish", {
				topic, text: values.text, defer_ms: Number(values.defer), count: Number(values.count),
			});
			then();
			return `Published ${plural(done.count, "message")} to ${topic} on ${done.node}`;
		},
	});
}

/**
 * @param {string} topic
 * @param {string} path of the message below the admin's API
 */
export function republish(topic, path) {
	ask({
		title: "Republish this message?",
		text: "A copy is published as a new message. The one you see stays as it is.",
		fields: [{ name: "topic", label: "To the topic", value: topic }, deferField],
		does: "Republish",
		run: async (values) => {
			const done = await request("POST", `${path}/republish`, { topic: values.topic, defer_ms: Number(values.defer) });
			return `Published a copy to ${done.topic}, offset ${done.offset}`;
		},
	});
}
