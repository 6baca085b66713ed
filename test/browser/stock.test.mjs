// The admin page in front of stock NSQ: nsqd and nsqlookupd as they are.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { confirm, open, shows, useBrowser } from "./browser.mjs";
import { consume } from "./consumer.mjs";
import { atEnd, eventually, freeAddresses, Process, publish, startAdmin, startNode, stats, stock } from "./processes.mjs";

useBrowser(before, after);

test("stock nsqd and nsqlookupd behind weir nsqadmin", { skip: stock("nsqlookupd") ? false : "make stock has not been run" }, async (t) => {
	const [lookupTCP, lookupHTTP, tcp, http] = await freeAddresses(4);
	const dir = mkdtempSync(join(tmpdir(), "weir-browser-stock-"));
	atEnd(t, () => rmSync(dir, { recursive: true, force: true }));
	const lookup = new Process(t, stock("nsqlookupd"), ["--tcp-address", lookupTCP, "--http-address", lookupHTTP, "--broadcast-address", "127.0.0.1"]);
	await lookup.ready(`http://${lookupHTTP}/ping`);
	const nsqd = Object.assign(new Process(t, stock("nsqd"), ["--tcp-address", tcp, "--http-address", http, "--broadcast-address", "127.0.0.1", "--data-path", dir, "--lookupd-tcp-address", lookupTCP]), { tcp, http });
	await nsqd.ready(`http://${http}/ping`);
	await publish(nsqd, "orders", "one", "two");
	await consume(t, nsqd, "orders", "work", { name: "old-worker" });

	const weir = await startNode(t);
	await publish(weir, "orders", "three");
	const admin = await startAdmin(t, { lookups: [lookupHTTP] });
	const both = await startAdmin(t, { nodes: [nsqd, weir] });
	const page = await open(t, `${admin.url}/`);
	await shows(page, "stock nsqd does not sync");
	await page.goto(`${admin.url}/topics/orders`);
	await page.getByRole("link", { name: "work" }).click();
	await shows(page, "old-worker");
	await page.getByRole("link", { name: "Waiting", exact: true }).click();
	await shows(page, "Only Weir's nodes can show messages");
	await confirm(page, "Pause");
	await eventually("the stock channel is paused", async () => (await stats(nsqd, "orders", "work")).paused);
	await page.goto(`${admin.url}/nodes`);
	await page.locator("tbody").getByText(http).waitFor();
	await page.goto(`${admin.url}/lookup`);
	await shows(page, lookupHTTP);

	await page.goto(`${both.url}/topics/orders?tab=nodes`);
	await page.getByRole("link", { name: "Nodes (2)" }).waitFor();
	await confirm(page, "Publish…", { fill: { Message: "four" }, does: "Publish" });
	await eventually("one of them has it", async () => (await stats(nsqd, "orders")).message_count + (await stats(weir, "orders")).message_count === 4);
});
