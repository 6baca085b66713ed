// Real processes for the tests: weir's nodes and admin pages, stock NSQ daemons, on free ports of the loopback interface, with data
// directories of their own. Each is ended with the test that started it.
import { spawn, execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, existsSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const readyPatienceMs = 20_000;
const keptOutput = 64 * 1024;

/** The binary under test: WEIR_TEST_BINARY, or built now. */
export const weir = process.env.WEIR_TEST_BINARY ?? build();

function build() {
	const binary = join(mkdtempSync(join(tmpdir(), "weir-browser-")), "weir");
	execFileSync("go", ["build", "-o", binary, "./cmd/weir"], { cwd: root, stdio: "inherit" });
	process.on("exit", () => rmSync(dirname(binary), { recursive: true, force: true }));
	return binary;
}

/** The path of a stock NSQ program, or undefined where `make stock` has not built it. */
export function stock(program) {
	const path = process.env.WEIR_TEST_STOCK_NSQD ? join(dirname(process.env.WEIR_TEST_STOCK_NSQD), program) : join(root, "bin/stock", program);
	return existsSync(path) ? path : undefined;
}

/** n different free addresses. */
export async function freeAddresses(n) {
	const servers = await Promise.all(Array.from({ length: n }, () => new Promise((resolve, reject) => {
		const server = createServer().on("error", reject).listen(0, "127.0.0.1", () => resolve(server));
	})));
	const addresses = servers.map((s) => `127.0.0.1:${s.address().port}`);
	await Promise.all(servers.map((s) => new Promise((done) => s.close(done))));
	return addresses;
}

const endings = new WeakMap();

/** Runs something when the test ends; what was begun last ends first. */
export function atEnd(t, end) {
	if (!endings.has(t)) {
		const stack = [];
		endings.set(t, stack);
		t.after(async () => {
			let failure;
			for (const each of stack.reverse()) {
				try {
					await each();
				} catch (err) {
					failure ??= err; // the rest ends all the same
				}
			}
			if (failure) throw failure;
		});
	}
	endings.get(t).push(end);
}

/** A process whose output is kept and printed if the test fails. */
export class Process {
	constructor(t, path, args) {
		this.output = "";
		this.child = spawn(path, args, { stdio: ["ignore", "pipe", "pipe"] });
		for (const stream of [this.child.stdout, this.child.stderr]) {
			stream.on("data", (data) => {
				this.output = (this.output + data).slice(-keptOutput);
			});
		}
		this.ended = new Promise((resolve) => this.child.on("exit", resolve));
		atEnd(t, async () => {
			await this.kill();
			if (process.env.WEIR_TEST_LOGS) console.log(`${path} ${args.join(" ")}\n${this.output}`);
		});
	}

	async kill(signal = "SIGKILL") {
		this.child.kill(signal);
		await this.ended;
	}

	signal(name) {
		this.child.kill(name);
	}

	/** Waits until GET url answers 200. */
	async ready(url) {
		for (const end = Date.now() + readyPatienceMs; Date.now() < end; await sleep(20)) {
			if (this.child.exitCode !== null) break;
			try {
				if ((await fetch(url, { signal: AbortSignal.timeout(1000) })).ok) return;
			} catch { /* not yet */ }
		}
		throw new Error(`not ready: ${url}\n${this.output}`);
	}
}

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** A weir node, without its admin page unless `admin`. */
export async function startNode(t, { args = [], admin = false, at } = {}) {
	const dir = at?.dir ?? mkdtempSync(join(tmpdir(), "weir-browser-data-"));
	if (!at) atEnd(t, () => rmSync(dir, { recursive: true, force: true }));
	const [tcp, http, page] = at?.addresses ?? await freeAddresses(3);
	const p = new Process(t, weir, ["serve", "--data-path", dir, "--tcp-address", tcp, "--http-address", http, "--discovery-tcp-address", "", "--admin-address", admin ? page : "", ...args]);
	await p.ready(`http://${http}/ping`);
	if (admin) await p.ready(`http://${page}/ping`);
	return Object.assign(p, { tcp, http, page: `http://${page}`, at: { dir, addresses: [tcp, http, page] } });
}

/** The admin page by itself, in front of nodes and lookup services. */
export async function startAdmin(t, { nodes = [], lookups = [], args = [], base = "/", at } = {}) {
	const [address] = at ?? await freeAddresses(1);
	const p = new Process(t, weir, ["nsqadmin", "--http-address", address, ...nodes.flatMap((n) => ["--nsqd-http-address", n.http ?? n]),
		...lookups.flatMap((l) => ["--lookupd-http-address", l]), ...args]);
	await p.ready(`http://${address}${base}ping`);
	return Object.assign(p, { url: `http://${address}${base === "/" ? "" : base.slice(0, -1)}`, at: [address] });
}

/** POSTs to a node's HTTP API. */
export async function post(node, path, body) {
	const response = await fetch(`http://${node.http}${path}`, { method: "POST", body });
	if (!response.ok) throw new Error(`POST ${path}: ${response.status} ${await response.text()}`);
}

/** Publishes messages, in order. */
export async function publish(node, topic, ...bodies) {
	for (const body of bodies) await post(node, `/pub?topic=${topic}`, body);
}

/** What a node's /stats says of a topic, and a channel of it. */
export async function stats(node, topic, channel) {
	const { topics } = await (await fetch(`http://${node.http}/stats?format=json&topic=${topic}`)).json();
	const found = topics?.find((each) => each.topic_name === topic);
	return channel === undefined ? found : found?.channels.find((each) => each.channel_name === channel);
}

/** Fails unless the condition comes to hold; returns what it returned. */
export async function eventually(what, condition, patienceMs = 10_000) {
	let last;
	for (const end = Date.now() + patienceMs; Date.now() < end; await sleep(50)) {
		last = await condition();
		if (last) return last;
	}
	throw new Error(`not within ${patienceMs} ms: ${what} (last: ${JSON.stringify(last)})`);
}

/** A cluster of nodes, each with a loopback address of its own and the usual ports. */
export async function startCluster(t, size = 3) {
	const net = 1 + Math.floor(Math.random() * 250);
	const hosts = Array.from({ length: size }, (_, i) => `127.78.${net}.${i + 1}`);
	const nodes = hosts.map((host) => {
		const dir = mkdtempSync(join(tmpdir(), "weir-browser-data-"));
		atEnd(t, () => rmSync(dir, { recursive: true, force: true }));
		const p = new Process(t, weir, ["serve", "--listen", host, "--data-path", dir, "--join", hosts.join(","), "--admin-address", ""]);
		return Object.assign(p, { tcp: `${host}:4150`, http: `${host}:4151`, lookup: `${host}:4161` });
	});
	await Promise.all(nodes.map((n) => n.ready(`http://${n.http}/ping`)));
	return nodes;
}
