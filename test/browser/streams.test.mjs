// What open pages cost the node: event streams of many readers over a thousand topics.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { get } from "node:http";
import { test } from "node:test";
import { atEnd, post, publish, sleep, startNode } from "./processes.mjs";

const topics = 1000;
const streams = Number(process.env.WEIR_STREAMS ?? 100);
const measuredMs = Number(process.env.WEIR_STREAMS_MS ?? 10_000);
const allowedCores = 0.05;
const ticksPerSecond = 100; // of Linux's accounting

/** Seconds of processor time that a process has used. */
function cpuSeconds({ child }) {
	const fields = readFileSync(`/proc/${child.pid}/stat`, "utf8").split(") ")[1].split(" ");
	return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

/** How many cores a process uses, over some time. */
async function cores(ms, process) {
	const [began, at] = [cpuSeconds(process), performance.now()];
	await sleep(ms);
	return (cpuSeconds(process) - began) / ((performance.now() - at) / 1000);
}

test(`${streams} open pages on ${topics} topics`, async (t) => {
	const node = await startNode(t, { admin: true, args: ["--sync", "os"] });
	for (let i = 0; i < topics; i += 50) {
		await Promise.all(Array.from({ length: 50 }, async (_, j) => {
			await post(node, `/topic/create?topic=topic-${i + j}`);
			await post(node, `/channel/create?topic=topic-${i + j}&channel=work`);
		}));
	}
	await sleep(2000);
	const idle = await cores(measuredMs, node);
	let events = 0;
	const watches = ["watch=overview&watch=topics", "watch=overview&watch=nodes", "watch=topic:topic-7", "watch=channel:topic-7:work"];
	for (let i = 0; i < streams; i++) {
		const request = get(`${node.page}/api/v1/stream?${watches[i % watches.length]}`, { agent: false }, (response) => {
			assert.equal(response.statusCode, 200);
			response.setEncoding("utf8").on("data", (text) => (events += text.split("event: ").length - 1));
			response.on("error", () => {});
		});
		request.on("error", () => {});
		atEnd(t, () => request.destroy());
	}
	const traffic = setInterval(() => publish(node, "topic-7", "x").catch(() => {}), 500); // so that there is something to tell
	atEnd(t, () => clearInterval(traffic));
	await sleep(3000);
	events = 0;
	const busy = await cores(measuredMs, node);
	t.diagnostic(`${(busy * 100).toFixed(1)} % of a core with ${streams} streams, ${(idle * 100).toFixed(1)} % without; ${Math.round(events / (measuredMs / 1000))} events a second`);
	assert.ok(events > 0, "events arrive");
	assert.ok(busy - idle <= allowedCores, `${busy} cores`);
});
