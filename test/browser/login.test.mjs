// Who may look, and who may change things.
import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { confirm, open, shows, useBrowser } from "./browser.mjs";
import { atEnd, publish, startAdmin, startNode, stats } from "./processes.mjs";

useBrowser(before, after);

/** A file of tokens: a name, a role and a token a line, as docs/admin.md has it. */
function tokenFile(t, ...lines) {
	const dir = mkdtempSync(join(tmpdir(), "weir-browser-tokens-"));
	atEnd(t, () => rmSync(dir, { recursive: true, force: true }));
	const path = join(dir, "tokens");
	writeFileSync(path, `${lines.join("\n")}\n`);
	chmodSync(path, 0o600);
	return path;
}

const adminToken = "a-token-of-an-operator-0001";
const readToken = "a-token-of-a-reader-00000002";

async function guarded(t) {
	const node = await startNode(t);
	await publish(node, "orders", "secret");
	const admin = await startAdmin(t, { nodes: [node], args: ["--admin-token-file", tokenFile(t, `ann admin ${adminToken}`, `bob read ${readToken}`)] });
	return { node, admin };
}

async function logIn(page, token) {
	await page.getByLabel("Access token").fill(token);
	await page.getByRole("button", { name: "Log in" }).click();
}

test("without a token nothing is shown; a wrong one is refused; a right one opens the page that was asked for", async (t) => {
	const { node, admin } = await guarded(t);
	const page = await open(t, `${admin.url}/topics/orders`, { expected: /status of 40[13]/ });
	await logIn(page, "wrong");
	await page.locator("[role=alert]").waitFor();
	assert.equal(await page.getByText("orders").count(), 0);
	await logIn(page, adminToken);
	await page.getByRole("heading", { name: "orders" }).waitFor();
	await shows(page, "logged in as ann");
	await confirm(page, "Pause");
	assert.equal((await stats(node, "orders")).paused, true);
	await page.reload();
	await page.getByRole("button", { name: "Unpause" }).waitFor();
	await page.getByRole("button", { name: "Log out" }).click();
	await page.getByLabel("Access token").waitFor();
});

test("who may only read finds no action, and is refused by the server too", async (t) => {
	const { admin } = await guarded(t);
	const page = await open(t, `${admin.url}/topics/orders`, { expected: /status of 403/ });
	await logIn(page, readToken);
	await shows(page, "read-only");
	await page.getByRole("heading", { name: "orders" }).waitFor();
	for (const name of ["Publish…", "Create channel…", "Pause", "Empty", "Delete"]) {
		assert.equal(await page.getByRole("button", { name, exact: true }).count(), 0, name);
	}
	await page.getByRole("link", { name: "Messages", exact: true }).click();
	await shows(page, "You may not look at messages");
	const status = await page.evaluate(async () => (await fetch("/api/topics/orders", { method: "DELETE" })).status);
	assert.equal(status, 403);
});
