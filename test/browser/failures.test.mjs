// Nodes that are down, slow, or talk nonsense, and an admin server that goes away: the page says so and goes on.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { open, shows, useBrowser } from "./browser.mjs";
import { atEnd, eventually, freeAddresses, publish, startAdmin, startNode } from "./processes.mjs";

useBrowser(before, after);

test("one of two nodes is killed while the page is open", async (t) => {
	const [a, b] = [await startNode(t), await startNode(t)];
	await publish(a, "orders", "1");
	await publish(b, "orders", "2", "3");
	const admin = await startAdmin(t, { nodes: [a, b] });
	const page = await open(t, `${admin.url}/`);
	const up = page.locator(".tile", { hasText: "Nodes up" });
	await eventually("both are up", async () => /2 of 2/.test(await up.textContent()));
	await b.kill();
	await shows(page, "Not the whole picture.");
	await eventually("one is down", async () => /1 of 2.*1 node down/.test(await up.textContent()));
	assert.match(await page.locator("[role=alert]").first().textContent(), new RegExp(b.http.replaceAll(".", "\\.")));
	for (const path of ["/topics", "/topics/orders", "/nodes", `/nodes/${b.http}`]) {
		await page.goto(admin.url + path);
		await page.locator("[role=alert]").first().waitFor();
	}
	await page.goto(`${admin.url}/topics`);
	await page.getByRole("link", { name: "orders" }).waitFor(); // what the other node knows is there

	await startNode(t, { at: b.at });
	await page.goto(`${admin.url}/`);
	await eventually("it is back", async () => /2 of 2/.test(await up.textContent()), 20_000);
	await eventually("and the warning is gone", async () => (await page.locator(".notice").count()) === 0);
});

test("a node that answers nonsense, and one that never answers, are named", async (t) => {
	const good = await startNode(t);
	await publish(good, "orders", "1");
	const [nonsense, silent] = await freeAddresses(2);
	const liar = createServer((request, response) => response.end(request.url.startsWith("/ping") ? "OK" : '{"topics":[{"topic_name":7,"channels":"<b>"}], "version": ["')).listen(Number(nonsense.split(":")[1]), "127.0.0.1");
	const sleeper = createServer(() => {}).listen(Number(silent.split(":")[1]), "127.0.0.1");
	atEnd(t, () => {
		for (const s of [liar, sleeper]) {
			s.close();
			s.closeAllConnections();
		}
	});
	const admin = await startAdmin(t, { nodes: [good, nonsense, silent] });
	const page = await open(t, `${admin.url}/nodes`);
	await shows(page, "Not the whole picture.");
	for (const address of [nonsense, silent]) {
		await eventually(`${address} is named`, async () => (await page.locator("main").textContent()).includes(address), 20_000);
	}
	await page.goto(`${admin.url}/topics/orders`);
	await shows(page, "Not the whole picture.");
	await page.getByRole("link", { name: "Nodes (1)" }).waitFor();
});

test("a lost stream is said, the figures stay, and it comes back by itself", async (t) => {
	const node = await startNode(t);
	await publish(node, "orders", "1");
	const admin = await startAdmin(t, { nodes: [node] });
	const page = await open(t, `${admin.url}/topics`, { expected: /ERR_CONNECTION|ERR_INCOMPLETE|ERR_EMPTY|Failed to load/ });
	await page.getByRole("link", { name: "orders" }).waitFor();
	await admin.kill();
	await shows(page, "Reconnecting…");
	await shows(page, "These figures are from");
	await page.getByRole("link", { name: "orders" }).waitFor();
	await startAdmin(t, { nodes: [node], at: admin.at });
	await page.locator(".stream", { hasText: "Live" }).waitFor({ timeout: 20_000 });
	await page.locator(".notice").waitFor({ state: "detached" });
	await publish(node, "payments", "1");
	await page.getByRole("link", { name: "payments" }).waitFor();
});

test("an admin server that sends nonsense does not blank the page", async (t) => {
	const node = await startNode(t);
	const admin = await startAdmin(t, { nodes: [node] });
	const page = await open(t, `${admin.url}/counter`, { expected: /Failed to load|ERR_/ });
	for (const data of ['{"totals":7}', "not JSON", '{"totals":{"topics":"<b>"},"rates":{},"unhealthy":[],"nodes_up":"x"}', "null", "[]"]) {
		await page.route("**/api/v1/stream*", (route) => route.fulfill({ contentType: "text/event-stream", body: `event: overview\ndata: ${data}\n\nevent: topics\ndata: ${data}\n\n` }));
		for (const path of ["/", "/topics"]) {
			await page.goto(admin.url + path);
			await page.getByRole("navigation", { name: "Pages" }).waitFor();
			await eventually("something is said", async () => (await page.locator("main").textContent()).trim() !== "");
		}
		await page.unroute("**/api/v1/stream*");
	}
});
