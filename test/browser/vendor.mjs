// Compares internal/admin/ui/vendor with the packages that npm installed here, or, with --write, copies them.
//
// npm ci has checked the packages against package-lock.json; vendor/lock.json records what each vendored file was made from and
// its hash, which a Go test checks without npm. A file is npm's, byte for byte, except for the listed replacements: without a
// build step, an import has to name a file.
import { createHash } from "node:crypto";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const vendor = join(here, "../../internal/admin/ui/vendor");

/** @type {{file: string, package: string, from: string, replace?: [string, string]}[]} */
const files = [
	{ file: "preact.mjs", package: "preact", from: "dist/preact.mjs" },
	{ file: "hooks.mjs", package: "preact", from: "hooks/dist/hooks.mjs", replace: ['from"preact"', 'from"./preact.mjs"'] },
	{ file: "preact.LICENSE", package: "preact", from: "LICENSE" },
	{ file: "htm.mjs", package: "htm", from: "dist/htm.mjs" },
	{ file: "htm.LICENSE", package: "htm", from: "LICENSE" },
	{ file: "uPlot.js", package: "uplot", from: "dist/uPlot.iife.min.js" },
	{ file: "uPlot.css", package: "uplot", from: "dist/uPlot.min.css" },
	{ file: "uPlot.LICENSE", package: "uplot", from: "LICENSE" },
];
const ours = ["README.md", "lock.json", "preact.d.mts", "hooks.d.mts", "htm.d.mts"];

const installed = JSON.parse(readFileSync(join(here, "package-lock.json"), "utf8")).packages;
const lock = files.map((f) => {
	let text = readFileSync(join(here, "node_modules", f.package, f.from), "utf8");
	if (f.replace) {
		if (text.split(f.replace[0]).length !== 2) throw new Error(`${f.from} does not have ${f.replace[0]} exactly once`);
		text = text.replace(f.replace[0], f.replace[1]);
	}
	const { version, license, integrity } = installed[`node_modules/${f.package}`];
	const sha256 = createHash("sha256").update(text).digest("hex");
	return { text, entry: { file: f.file, package: f.package, version, license, integrity, from: f.from, replace: f.replace, sha256 } };
});
const lockText = JSON.stringify(lock.map((l) => l.entry), null, "\t") + "\n";

if (process.argv.includes("--write")) {
	for (const { text, entry } of lock) writeFileSync(join(vendor, entry.file), text);
	writeFileSync(join(vendor, "lock.json"), lockText);
}
const wrong = lock.filter(({ text, entry }) => readFileSync(join(vendor, entry.file), "utf8") !== text).map(({ entry }) => entry.file);
if (readFileSync(join(vendor, "lock.json"), "utf8") !== lockText) wrong.push("lock.json");
const known = new Set([...ours, ...files.map((f) => f.file)]);
wrong.push(...readdirSync(vendor).filter((name) => !known.has(name)));
if (wrong.length > 0) {
	console.error(`internal/admin/ui/vendor is not what npm has: ${wrong.join(", ")}; run: node test/browser/vendor.mjs --write`);
	process.exit(1);
}
console.log(`internal/admin/ui/vendor: ${files.length} files are what npm has`);
