// Takes the pictures in docs/images: every page, light and dark, of two nodes with some traffic. Run by `make screenshots`.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { after, before, test } from "node:test";
import { open, useBrowser } from "./browser.mjs";
import { consume } from "./consumer.mjs";
import { atEnd, post, sleep, startAdmin, startCluster, startNode } from "./processes.mjs";

const images = join(dirname(fileURLToPath(import.meta.url)), "../../docs/images");
const trafficMs = Number(process.env.WEIR_SCREENSHOT_TRAFFIC_MS ?? 90_000);

useBrowser(before, after);

const topics = { orders: ["billing", "mailer", "warehouse"], payments: ["ledger", "fraud-check"], signups: ["welcome-mail"], "page-views": ["archive", "aggregate"], "search-terms": ["suggest"], audit: ["archive"] };

/** Publishes bursts to all topics until the time is over. */
async function traffic(nodes, forMs) {
	let n = 0;
	for (const end = Date.now() + forMs; Date.now() < end; await sleep(200)) {
		for (const [i, topic] of Object.keys(topics).entries()) {
			const size = Math.round(20 + 60 * i * (1 + Math.sin(n / 40 + i)));
			const lines = Array.from({ length: size }, (_, j) => JSON.stringify({ id: 70_000 + n * 10 + j, event: topic, customer: `c-${(n * 7 + j) % 997}`, amount: ((n + j) % 250) + 0.99, items: [{ sku: "WR-104", qty: 2 }, { sku: "WR-230", qty: 1 }], express: j % 3 === 0 }));
			await post(nodes[n % nodes.length], `/mpub?topic=${topic}`, lines.join("\n"));
		}
		n++;
	}
}

test("pictures", async (t) => {
	const nodes = [await startNode(t), await startNode(t)];
	for (const node of nodes) {
		for (const [topic, channels] of Object.entries(topics)) {
			await post(node, `/topic/create?topic=${topic}`);
			for (const channel of channels) await post(node, `/channel/create?topic=${topic}&channel=${channel}`);
		}
		for (const [topic, channels] of Object.entries(topics)) {
			for (const [i, channel] of channels.entries()) {
				if (topic === "audit") continue; // nobody consumes it
				const consumer = await consume(t, node, topic, channel, { ready: 40, name: `${channel}-${i + 1}` });
				const busy = setInterval(() => consumer.messages.splice(0, channel === "fraud-check" ? 4 : 36).forEach(consumer.finish), 50);
				atEnd(t, () => clearInterval(busy));
			}
		}
		for (let i = 1; i <= 12; i++) await post(node, `/pub?topic=signups&defer=${i * 300_000}`, JSON.stringify({ remind: `c-${i}`, after: `${i * 5} min` }));
	}
	await post(nodes[0], "/topic/pause?topic=search-terms");
	const admin = await startAdmin(t, { nodes });
	await traffic(nodes, trafficMs);
	const going = traffic(nodes, 60_000);
	mkdirSync(images, { recursive: true });
	const pages = { overview: "/", topics: "/topics", topic: "/topics/payments", messages: "/topics/orders?tab=messages", channel: "/topics/orders/billing", "in-flight": "/topics/payments/fraud-check?tab=in-flight", nodes: "/nodes", node: `/nodes/${nodes[0].http}`, lookup: "/lookup", counter: "/counter" };
	for (const colorScheme of ["light", "dark"]) {
		const page = await open(t, `${admin.url}/`, { colorScheme, viewport: { width: 1180, height: 760 } });
		for (const [name, path] of Object.entries(pages)) {
			await page.goto(admin.url + path);
			await page.locator(".starting").waitFor({ state: "detached" });
			if (name === "messages") await page.locator(".message-row").first().click();
			await sleep(1500);
			await page.screenshot({ path: join(images, `${name}-${colorScheme}.png`) });
		}
		await page.context().close();
	}
	const phone = await open(t, `${admin.url}/`, { viewport: { width: 390, height: 760 }, isMobile: true });
	await sleep(1500);
	await phone.screenshot({ path: join(images, "phone-light.png") });
	assert.ok(await phone.title());
	await phone.context().close();
	await going;
});

test("pictures of a cluster", async (t) => {
	const nodes = await startCluster(t);
	for (const topic of Object.keys(topics)) await post(nodes[0], `/topic/create?topic=${topic}`);
	const admin = await startAdmin(t, { nodes, lookups: nodes.map((n) => n.lookup) });
	mkdirSync(images, { recursive: true });
	const going = traffic(nodes, 10_000);
	await sleep(5000);
	for (const colorScheme of ["light", "dark"]) {
		const page = await open(t, `${admin.url}/nodes`, { colorScheme, viewport: { width: 1180, height: 1080 } });
		await page.getByRole("heading", { name: "Partitions" }).waitFor();
		await page.screenshot({ path: join(images, `cluster-${colorScheme}.png`) });
		await page.context().close();
	}
	await going;
});
