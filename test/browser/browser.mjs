// Headless Chromium (Debian's) for the tests, one at a time. Every page is watched: an error in its console, an exception, or a breach
// of its Content-Security-Policy fails the test.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { chromium } from "playwright-core";
import { atEnd } from "./processes.mjs";

const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
const patienceMs = 10_000;

let browser;

/** Starts the browser for the tests of a file; call it once, at its top. */
export function useBrowser(before, after) {
	before(async () => {
		assert.ok(existsSync(executablePath), `no browser at ${executablePath}: apt-get install chromium, or set CHROMIUM`);
		browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
	});
	after(() => browser?.close());
}

/**
 * Opens a page in a profile of its own. `expected` matches console errors that the test provokes: requests to a server that it killed, say.
 */
export async function open(t, url, { expected, ...options } = {}) {
	const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
	await context.grantPermissions(["clipboard-read", "clipboard-write"]).catch(() => {});
	const page = await context.newPage();
	page.setDefaultTimeout(patienceMs);
	const errors = [];
	page.on("pageerror", (err) => errors.push(`exception: ${err.stack ?? err}`));
	page.on("console", (message) => {
		if (message.type() === "error" || message.type() === "warning") errors.push(`${message.type()}: ${message.text()}`);
	});
	page.on("dialog", (dialog) => {
		errors.push(`a script opened a dialog: ${dialog.message()}`);
		dialog.dismiss();
	});
	atEnd(t, async () => {
		await context.close();
		assert.deepEqual(errors.filter((e) => !expected?.test(e)), [], "the console stays empty");
	});
	await page.goto(url);
	await page.locator("h1").first().waitFor();
	return page;
}

/** Waits until the page shows a text. */
export async function shows(page, text) {
	await page.getByText(text).first().waitFor();
}

/** Presses a button of the page, then the one in the dialog that asks; with retype, types that first. */
export async function confirm(page, button, { retype, fill = {}, does = button } = {}) {
	await page.getByRole("button", { name: button, exact: true }).first().click();
	const dialog = page.locator("dialog[open]");
	await dialog.waitFor();
	for (const [label, value] of Object.entries(fill)) await dialog.getByLabel(label).fill(value);
	if (retype !== undefined) {
		assert.ok(await dialog.getByRole("button", { name: does, exact: true }).isDisabled(), `${does} waits for the name`);
		await dialog.getByLabel(/to confirm/).fill(retype);
	}
	await dialog.getByRole("button", { name: does, exact: true }).click();
	await dialog.waitFor({ state: "detached" });
}
