// A cluster of three nodes: who leads what, what changes when one is killed, and that actions reach the whole of it.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { confirm, open, shows, useBrowser } from "./browser.mjs";
import { eventually, post, publish, startAdmin, startCluster, stats } from "./processes.mjs";

useBrowser(before, after);

/** The cells of each row of a table, by its label. */
async function cells(page, label) {
	return page.getByRole("table", { name: label, exact: true }).locator("tbody tr:not(.space)").evaluateAll((rows) => rows.map((r) => [...r.children].map((c) => c.textContent.trim())));
}

/** Leaders of a topic's partitions, as the page shows them. */
async function leaders(page, topic) {
	return (await cells(page, "Partitions")).filter(([name]) => name === topic).map(([, , leader]) => leader);
}

test("a cluster's nodes and partitions are shown; a node is killed, and another leads", async (t) => {
	const nodes = await startCluster(t);
	await publish(nodes[0], "orders", "1", "2", "3");
	await post(nodes[0], "/channel/create?topic=orders&channel=work");
	const admin = await startAdmin(t, { nodes, lookups: nodes.map((n) => n.lookup) });
	const page = await open(t, `${admin.url}/nodes`);
	const each = nodes.map((n) => n.http).sort();
	await eventually("each leads what it should", async () => (await leaders(page, "orders")).sort().join() === each.join(), 20_000);
	assert.equal((await leaders(page, "catalog")).length, 1);
	for (const [, state, leads, should, replicas] of await cells(page, "Nodes of the cluster")) {
		assert.equal(state, "up");
		assert.equal(should, "1");
		assert.ok(Number(leads) >= 1, "its own, and perhaps the catalog");
		assert.equal(replicas, "4", "three partitions and the catalog");
	}
	await page.getByRole("searchbox").fill("catalog");
	await eventually("one is left", async () => (await cells(page, "Partitions")).length === 1);
	await page.getByRole("searchbox").fill("");

	await nodes[2].kill();
	await eventually("its partition moves", async () => {
		const now = await leaders(page, "orders");
		return now.length === 3 && now.every((l) => l !== "" && l !== "none" && !l.startsWith(nodes[2].http));
	}, 20_000);
	await shows(page, "moved");
	await shows(page, `${nodes[2].http}: down, as the other nodes of the cluster see it`);
	const dead = (await cells(page, "Nodes of the cluster")).find(([name]) => name.startsWith(nodes[2].http));
	assert.match(dead[1], /^down/);
	assert.deepEqual(dead.slice(2, 4), ["0", "1"]);

	await page.goto(`${admin.url}/topics/orders?tab=partitions`);
	await eventually("the topic lists its partitions", async () => (await leaders(page, "orders")).length === 3);
	await shows(page, "Not the whole picture.");
});

test("actions on a topic of the cluster reach all of it", async (t) => {
	const nodes = await startCluster(t);
	await publish(nodes[0], "orders", "1");
	const admin = await startAdmin(t, { nodes, lookups: nodes.map((n) => n.lookup) });
	const page = await open(t, `${admin.url}/topics/orders`);
	await shows(page, "Partitions (3)");
	const messages = async () => (await Promise.all(nodes.map((n) => stats(n, "orders")))).reduce((sum, s) => sum + (s?.message_count ?? 0), 0);
	await confirm(page, "Publish…", { does: "Publish", fill: { Message: "from the page" } });
	await eventually("it is published", async () => (await messages()) === 2);
	await confirm(page, "Create channel…", { does: "Create", fill: { Channel: "work" } });
	await eventually("all nodes have the channel", async () => (await Promise.all(nodes.map((n) => stats(n, "orders", "work")))).every(Boolean));
	await page.getByRole("link", { name: "work" }).waitFor();
	await confirm(page, "Pause");
	await eventually("it is paused at all nodes", async () => (await Promise.all(nodes.map((n) => stats(n, "orders")))).every((s) => s.paused));
	await shows(page, "paused");
	await confirm(page, "Unpause");
	await eventually("and goes on at all nodes", async () => (await Promise.all(nodes.map((n) => stats(n, "orders")))).every((s) => !s.paused));
});
