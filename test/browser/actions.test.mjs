// Every action: asked for on the page, confirmed, and looked for in the node.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { confirm, open, shows, useBrowser } from "./browser.mjs";
import { eventually, publish, startNode, stats } from "./processes.mjs";

useBrowser(before, after);

test("topics and channels are created, paused, emptied and deleted", async (t) => {
	const node = await startNode(t, { admin: true });
	const page = await open(t, `${node.page}/topics`);
	await confirm(page, "Create…", { fill: { Topic: "orders", "Channel optional": "" }, does: "Create" });
	await page.getByRole("link", { name: "orders" }).click();
	await shows(page, "No channels");
	await confirm(page, "Publish…", { fill: { Message: "hello", Copies: "3" }, does: "Publish" });
	await shows(page, "Published 3 messages");
	assert.equal((await stats(node, "orders")).depth, 3);
	await confirm(page, "Create channel…", { fill: { Channel: "work" }, does: "Create" });
	await eventually("the first channel has the backlog", async () => (await stats(node, "orders", "work"))?.depth === 3);

	await confirm(page, "Pause");
	assert.equal((await stats(node, "orders")).paused, true);
	await page.getByRole("button", { name: "Unpause" }).waitFor();
	await publish(node, "orders", "waits");
	await confirm(page, "Empty", { retype: "orders" });
	await eventually("the topic is empty", async () => (await stats(node, "orders")).depth === 0);
	await confirm(page, "Unpause");
	assert.equal((await stats(node, "orders")).paused, false);

	await page.getByRole("link", { name: "work" }).click();
	await confirm(page, "Pause");
	assert.equal((await stats(node, "orders", "work")).paused, true);
	await confirm(page, "Unpause");
	await confirm(page, "Empty", { retype: "work" });
	await eventually("the channel is empty", async () => (await stats(node, "orders", "work")).depth === 0);
	await confirm(page, "Delete", { retype: "work" });
	await page.getByRole("heading", { name: "orders" }).waitFor();
	assert.equal(await stats(node, "orders", "work"), undefined);
	await confirm(page, "Delete", { retype: "orders" });
	await page.getByRole("heading", { name: "Topics" }).waitFor();
	assert.equal(await stats(node, "orders"), undefined);
});

test("an action that fails says why, in the dialog", async (t) => {
	const node = await startNode(t, { admin: true });
	await publish(node, "orders", "x");
	const page = await open(t, `${node.page}/topics/orders`, { expected: /status of (4|5)\d\d/ });
	await page.getByRole("button", { name: "Publish…" }).click();
	await page.getByLabel("Message").fill("x");
	await page.getByLabel("Deliver after").fill("999999999999");
	await page.getByRole("button", { name: "Publish", exact: true }).click();
	await page.locator("dialog [role=alert]").waitFor();
	await page.keyboard.press("Escape");
	await page.locator("dialog").waitFor({ state: "detached" });
});

test("a topic is tombstoned on one node", async (t) => {
	const node = await startNode(t, { admin: true });
	await publish(node, "orders", "x");
	const page = await open(t, `${node.page}/topics/orders?tab=nodes`);
	await confirm(page, "Tombstone", { retype: "orders" });
	await eventually("it is deleted there", async () => (await stats(node, "orders")) === undefined);
});
