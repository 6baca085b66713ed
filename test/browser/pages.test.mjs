// Every page, as a person finds it: by links, by address, by keyboard; light, dark, on a phone.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { open, shows, useBrowser } from "./browser.mjs";
import { consume } from "./consumer.mjs";
import { eventually, post, publish, startAdmin, startNode } from "./processes.mjs";

useBrowser(before, after);

/** A node with a topic, a channel and a consumer that holds one message. */
async function furnished(t, options) {
	const node = await startNode(t, options);
	await post(node, "/topic/create?topic=orders");
	await post(node, "/channel/create?topic=orders&channel=work");
	await publish(node, "orders", "one", "two", "three");
	const consumer = await consume(t, node, "orders", "work", { name: "worker-7" });
	await eventually("a message is in flight", () => consumer.messages.length === 1);
	return node;
}

test("each page is drawn", async (t) => {
	const node = await furnished(t, { admin: true });
	const page = await open(t, node.page);
	assert.equal(await page.title(), "Overview – Weir");

	await page.getByRole("link", { name: "Topics" }).click();
	await page.getByRole("link", { name: "orders" }).click();
	assert.equal(new URL(page.url()).pathname, "/topics/orders");
	await page.getByRole("link", { name: "Nodes (1)" }).click();
	await page.getByRole("cell", { name: "3", exact: true }).first().waitFor();
	await page.getByRole("link", { name: "Channels (1)" }).click();

	await page.getByRole("link", { name: "work" }).click();
	assert.equal(new URL(page.url()).pathname, "/topics/orders/work");
	await shows(page, "worker-7");
	await shows(page, "browser-test/1");

	await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "Nodes" }).click();
	await page.getByRole("heading", { name: "Nodes", level: 1 }).waitFor();
	await page.locator("tbody th a").first().click();
	await page.getByRole("link", { name: "orders" }).waitFor();

	await page.getByRole("link", { name: "Lookup" }).click();
	await page.getByRole("heading", { name: "Lookup" }).waitFor();
	await page.getByRole("link", { name: "Counter" }).click();
	await eventually("the counter counts", async () => (await page.locator(".total").textContent()) === "3");
	await publish(node, "orders", "four");
	await eventually("the counter goes on by itself", async () => (await page.locator(".total").textContent()) === "4");
});

test("bookmarks of nsqadmin's addresses work, below a base path too", async (t) => {
	const node = await furnished(t);
	for (const base of ["/", "/ops/nsq/"]) {
		const admin = await startAdmin(t, { nodes: [node], base, args: base === "/" ? [] : ["--base-path", base.slice(0, -1)] });
		const page = await open(t, `${admin.url}/`);
		for (const [path, heading] of [["/topics", "Topics"], ["/topics/orders", "orders"], ["/topics/orders/work", "work"], ["/nodes", "Nodes"],
			["/counter", "Counter"], ["/lookup", "Lookup"]]) {
			await page.goto(admin.url + path);
			await page.getByRole("heading", { name: heading, level: 1 }).waitFor();
		}
		await page.goto(`${admin.url}/nodes/${node.http}`);
		await shows(page, "Listed by lookup");
	}
});

test("what does not exist is said, not left blank", async (t) => {
	const node = await furnished(t, { admin: true });
	const page = await open(t, `${node.page}/topics/nowhere`);
	await shows(page, "No such topic");
	await page.goto(`${node.page}/topics/orders/nobody`);
	await shows(page, "No such channel");
	await page.goto(`${node.page}/nodes/10.9.8.7:1`);
	await shows(page, "No such node");
});

test("the keyboard is enough", async (t) => {
	const node = await furnished(t, { admin: true });
	await publish(node, "payments", "x");
	const page = await open(t, node.page);
	await shows(page, "Live");
	await page.keyboard.press("g");
	await page.keyboard.press("t");
	await page.getByRole("heading", { name: "Topics" }).waitFor();
	await page.getByRole("link", { name: "payments" }).waitFor();
	await page.keyboard.press("/");
	await page.keyboard.type("pay");
	await eventually("one topic is left", async () => (await page.locator("tbody tr").count()) === 1);
	assert.equal(new URL(page.url()).searchParams.get("q"), "pay");
	await page.keyboard.press("Escape");
	await page.keyboard.press("j");
	await page.keyboard.press("Enter");
	await page.getByRole("heading", { name: "payments" }).waitFor();
	await page.keyboard.press("?");
	await shows(page, "search on this page");
	await page.keyboard.press("Escape");
	await page.locator("dialog").waitFor({ state: "detached" });
	await page.keyboard.press("g");
	await page.keyboard.press("n");
	await page.getByRole("heading", { name: "Nodes" }).waitFor();
	await page.locator("body").press("Tab"); // every stop shows where it is
	const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
	assert.notEqual(outline, "none");
});

test("light or dark: the system's choice, then the reader's, remembered", async (t) => {
	const node = await furnished(t, { admin: true });
	const page = await open(t, node.page, { colorScheme: "dark" });
	const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
	const dark = await ground();
	await page.getByRole("button", { name: "Switch to light" }).click();
	const light = await ground();
	assert.notEqual(dark, light);
	await page.reload();
	await page.getByRole("button", { name: "Switch to dark" }).waitFor();
	assert.equal(await ground(), light);
	await page.keyboard.press("d");
	assert.equal(await ground(), dark);
});

test("on a phone nothing but tables and tabs scrolls sideways", async (t) => {
	const node = await furnished(t, { admin: true });
	const page = await open(t, node.page, { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true });
	for (const path of ["/", "/topics", "/topics/orders", "/topics/orders/work", "/nodes", `/nodes/${node.http}`, "/lookup", "/counter"]) {
		await page.goto(node.page + path);
		await page.locator("h1").waitFor();
		await page.locator(".starting").waitFor({ state: "detached" });
		const { width, screen } = await page.evaluate(() => ({ width: document.documentElement.scrollWidth, screen: innerWidth }));
		assert.ok(width <= screen, `${path} is ${width} px wide on a screen of ${screen}`);
	}
});
