// Looking at messages: any place of a log, search, large and hostile bodies; steering one message; and what else only Weir's nodes tell.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { confirm, open, shows, useBrowser } from "./browser.mjs";
import { consume } from "./consumer.mjs";
import { eventually, post, publish, startNode, stats } from "./processes.mjs";

useBrowser(before, after);

/** Bodies that try to be more than text. */
const hostile = {
	script: "<script>window.pwned = 1</script>",
	image: "<img src=x onerror=\"window.pwned = 2\">",
	svg: "<svg onload=\"window.pwned = 3\"><a href=\"javascript:window.pwned=4\">x</a></svg>",
	json: JSON.stringify({ "<b onclick=x>": "<script>window.pwned = 5</script>", __proto__: { a: 1 }, constructor: "x", deep: [[[[[[1]]]]]] }),
	proto: '{"__proto__":{"pwned":6},"big":12345678901234567890123,"html":"</pre><script>window.pwned=7</script>"}',
	nested: "[".repeat(20_000) + "]".repeat(20_000),
	controls: Buffer.from([0x00, 0x07, 0x08, 0x1b, 0x5b, 0x33, 0x31, 0x6d, 0x7f, 0x41]),
	direction: "abc\u202egnp.exe\u2066\u200b\ufeff",
	broken: Buffer.from([0xff, 0xfe, 0x80, 0xc3, 0x28, 0xed, 0xa0, 0x80, 0xf4, 0x90, 0x80, 0x80]),
	template: "${window.pwned=8} {{constructor.constructor('window.pwned=9')()}}",
	spaces: " \n\t\r\n ",
};

test("hostile bodies are shown, and do nothing", async (t) => {
	const node = await startNode(t, { admin: true });
	await publish(node, "hostile", ...Object.values(hostile));
	const page = await open(t, `${node.page}/topics/hostile?tab=messages`);
	const rows = page.locator(".message-row");
	await eventually("all are listed", async () => (await rows.count()) === Object.keys(hostile).length);
	for (const [i, name] of Object.keys(hostile).entries()) {
		await rows.nth(i).click();
		const body = page.locator(".message").nth(i).locator(".body");
		await body.waitFor();
		for (const view of ["Text", "JSON", "Hex"]) {
			const button = body.getByRole("button", { name: view, exact: true });
			if (await button.isEnabled()) await button.click();
		}
		await body.getByRole("button", { name: "Text", exact: true }).click();
		const text = await body.locator("pre, p").first().textContent();
		if (typeof hostile[name] === "string" && ["script", "image", "svg", "template"].includes(name)) assert.equal(text, hostile[name]);
		if (name === "controls") assert.match(text, /NUL.*BEL.*BS.*ESC.*\[31m.*DEL.*A/);
		if (name === "direction") assert.match(text, /U\+202E/);
		if (name === "broken") assert.match(text, /\ufffd/);
	}
	assert.equal(await page.evaluate(() => window.pwned ?? ({}).pwned), undefined);
	assert.equal(await page.locator("#app script, #app img[src=x], #app [onclick], #app [onerror]").count(), 0);
	await page.locator(".message").nth(4).getByRole("button", { name: "JSON", exact: true }).click();
	await shows(page, "12345678901234567890123"); // no digit is lost
});

test("a message of 1 MiB is cut in the list and whole when opened", async (t) => {
	const node = await startNode(t, { admin: true });
	const large = `{"start":1,"pad":"${"x".repeat((1 << 20) - 40)}","end":2}`;
	await publish(node, "large", large);
	const page = await open(t, `${node.page}/topics/large?tab=messages`);
	await page.locator(".message-row").click();
	await page.getByRole("button", { name: "JSON", exact: true, disabled: false }).click();
	await shows(page, "end");
	await page.getByRole("button", { name: "Text", exact: true }).click();
	await shows(page, "Show more");
	await page.getByRole("button", { name: "Hex", exact: true }).click();
	await shows(page, "00000000  7b 22 73 74 61 72 74");
	const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Save" }).click()]);
	const chunks = [];
	for await (const chunk of await download.createReadStream()) chunks.push(chunk);
	assert.equal(Buffer.concat(chunks).toString(), large);
});

test("a log is read from any place, and searched", async (t) => {
	const node = await startNode(t, { admin: true });
	await post(node, "/mpub?topic=log", Array.from({ length: 200 }, (_, i) => `line ${i}${i % 50 === 7 ? " Needle" : ""}`).join("\n"));
	const page = await open(t, `${node.page}/topics/log?tab=messages`);
	await shows(page, "150 to 199 of offsets 0 to 199");
	await page.getByRole("button", { name: "Older" }).first().click();
	await shows(page, "100 to 149 of offsets 0 to 199");
	await page.getByRole("button", { name: "Oldest" }).click();
	await shows(page, "0 to 49 of offsets 0 to 199");
	await page.getByLabel("Go to").fill("77");
	await page.getByRole("button", { name: "Go", exact: true }).click();
	await shows(page, "77 to 126 of offsets 0 to 199");
	await page.locator(".message-row").first().click();
	const id = await page.locator(".facts .mono").first().textContent();
	await page.getByLabel("Go to").fill("2020-01-01");
	await page.getByRole("button", { name: "Go", exact: true }).click();
	await shows(page, "0 to 49 of offsets 0 to 199");
	await page.getByLabel("Go to").fill(id);
	await page.getByRole("button", { name: "Go", exact: true }).click();
	await shows(page, "77 to 126 of offsets 0 to 199");
	await page.goBack();
	await shows(page, "0 to 49 of offsets 0 to 199");

	await page.getByLabel("Find in bodies").fill("needle");
	await page.getByRole("button", { name: "Find" }).click();
	await shows(page, "4 messages found in 200 messages");
	await page.getByRole("button", { name: "Back to the log" }).click();
	await shows(page, "150 to 199 of offsets 0 to 199");
});

test("deferred messages tell when they are due", async (t) => {
	const node = await startNode(t, { admin: true });
	await post(node, "/topic/create?topic=later");
	await post(node, "/channel/create?topic=later&channel=work");
	await post(node, "/pub?topic=later&defer=3000000", "in fifty minutes");
	const page = await open(t, `${node.page}/topics/later/work?tab=deferred`);
	await shows(page, "1 message deferred");
	await shows(page, /due in (49 min|50 min)/);
});

test("what Weir's nodes know besides is drawn: the last hour, disk, sync", async (t) => {
	const node = await startNode(t, { admin: true });
	await publish(node, "orders", "one");
	const page = await open(t, node.page);
	await shows(page, "Disk free");
	await page.locator(".chart canvas").first().waitFor();
	for (const title of ["Messages a second", "Depth", "Sync latency", "Free disk"]) await shows(page, title);
	await page.goto(`${node.page}/topics/orders?tab=history`);
	await page.locator(".chart canvas").first().waitFor();
	await page.goto(`${node.page}/nodes/${node.http}`);
	await shows(page, "Sync p99");
	assert.equal(await page.getByRole("link", { name: "Partitions" }).count(), 0, "a lone node has no cluster to show");
});

test("one message is finished, requeued, republished", async (t) => {
	const node = await startNode(t, { admin: true });
	await post(node, "/topic/create?topic=orders");
	await post(node, "/channel/create?topic=orders&channel=work");
	await publish(node, "orders", "first", "second", "third");
	const page = await open(t, `${node.page}/topics/orders/work?tab=waiting`);
	await shows(page, "3 messages waiting");
	await page.locator(".message-row", { hasText: "second" }).click();
	await confirm(page, "Finish…", { does: "Finish" });
	await shows(page, "2 messages waiting");
	assert.equal(await page.locator(".message-row", { hasText: "second" }).count(), 0);

	const consumer = await consume(t, node, "orders", "work", { name: "slow" });
	await eventually("the first is in flight", () => consumer.messages.length === 1);
	await page.getByRole("link", { name: "In flight", exact: true }).click();
	await shows(page, "1 message in flight");
	await page.locator(".message-row", { hasText: "first" }).click();
	await shows(page, "Times out");
	await confirm(page, "Requeue…", { fill: { After: "3600000" }, does: "Requeue" });
	await page.getByRole("link", { name: "Deferred", exact: true }).click();
	await page.locator(".message-row", { hasText: "first" }).click();
	await shows(page, "Due");
	await confirm(page, "Requeue…", { does: "Requeue" });
	await eventually("it is delivered again, as its second attempt", () => consumer.messages.some((m) => m.body.toString() === "first" && m.attempts === 2) || (consumer.finish(consumer.messages.at(-1)), false));

	await page.goto(`${node.page}/topics/orders?tab=messages`);
	await page.locator(".message-row", { hasText: "third" }).click();
	await confirm(page, "Republish…", { fill: { "To the topic": "copies" }, does: "Republish" });
	await shows(page, "Published a copy to copies, offset 0");
	assert.equal((await stats(node, "copies")).depth, 1);
});
