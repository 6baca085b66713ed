// The program's pure parts, loaded as modules by the browser that runs them.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { open, useBrowser } from "./browser.mjs";
import { startAdmin, startNode } from "./processes.mjs";

useBrowser(before, after);

/** Calls functions of a module of the page: [[name, ...arguments], ...] gives their results. */
async function call(page, module, calls) {
	return page.evaluate(async ([module, calls]) => {
		const path = document.querySelector("meta[name=weir-static]").content + module;
		const functions = await import(path);
		return calls.map(([name, ...args]) => functions[name](...args));
	}, [module, calls]);
}

test("figures, sizes and times read well", async (t) => {
	const admin = await startAdmin(t, { nodes: [await startNode(t)] });
	const page = await open(t, `${admin.url}/counter`);
	const cases = [
		["–", "count", null], ["1,234,567", "count", 1234567], ["9,999", "short", 9999], ["1.23M", "short", 1234567], ["–", "short", Number.NaN],
		["0", "rate", 0], ["3.4", "rate", 3.44], ["1,234", "rate", 1233.9], ["1.23M", "rate", 1234567],
		["0 B", "bytes", 0], ["1.5 KiB", "bytes", 1536], ["340 MiB", "bytes", 340 * 2 ** 20], ["–", "bytes", undefined],
		["0 s", "duration", 0], ["840 µs", "duration", 0.00084], ["1.5 ms", "duration", 0.0015], ["12 ms", "duration", 0.012], ["3.4 s", "duration", 3.44],
		["59 s", "duration", 59.9], ["5 min 3 s", "duration", 303], ["1 h", "duration", 3600], ["4 d 18 h", "duration", 412000], ["2 y", "duration", 2 * 31557600],
		["now", "relative", 1000, 1000], ["3 min ago", "relative", 0, 180000], ["in 20 s", "relative", 20000, 0], ["–", "relative", null, 0],
		["–", "moment", 1e300], ["1 topic", "plural", 1, "topic"], ["0 topics", "plural", 0, "topic"],
	];
	assert.deepEqual(await call(page, "app/format.js", cases.map(([, ...rest]) => rest)), cases.map(([wanted]) => wanted));
	const found = await page.evaluate(async () => {
		const { matcher } = await import(document.querySelector("meta[name=weir-static]").content + "app/table.js");
		return ["pay 02", "PAYMENTS", "", "orders"].map((search) => matcher(search)("payments-02"));
	});
	assert.deepEqual(found, [true, true, true, false]);
});
