// The frame around every page: navigation, the state of the live stream, theme, login.
import { useEffect, useRef } from "../vendor/hooks.mjs";
import { html } from "./html.js";
import { Dialogs, show } from "./dialog.js";
import { listenForKeys, shortcuts } from "./keys.js";
import { relative } from "./format.js";
import { live } from "./live.js";
import { Link, address, staticPath, takeArrival, usePlace } from "./router.js";
import { logOut, session } from "./session.js";
import { useStore } from "./store.js";
import { scheme, toggleTheme } from "./theme.js";
import { Toasts } from "./toast.js";

/** @typedef {import("./html.js").Children} Children */

/** @type {[string, string[]][]} */
const pages = [["Overview", []], ["Topics", ["topics"]], ["Nodes", ["nodes"]], ["Lookup", ["lookup"]], ["Counter", ["counter"]]];

/** @param {{children: Children}} props */
export function Shell({ children }) {
	const { parts } = usePlace();
	const me = useStore(session);
	const now = useStore(scheme);
	useEffect(() => listenForKeys(help), []);
	return html`
		<a class="skip" href="#main">Skip to the content</a>
		<header class="top">
			<${Link} class="brand" href=${address()}><img src=${`${staticPath}favicon.svg`} alt="" width="24" height="24" />Weir<//>
			<nav class="nav" aria-label="Pages">
				${pages.map(([title, path]) => html`<${Link} key=${title} href=${address(...path)}
					aria-current=${(parts[0] ?? "") === (path[0] ?? "") ? "page" : undefined}>${title}<//>`)}
			</nav>
			<div class="top-right">
				<${StreamState} />
				${me && !me.can.act ? html`<span class="badge quiet" title="You may look, but not change anything">read-only</span>` : null}
				${me?.login === "token" && me.logged_in ? html`<button class="plain muted" onClick=${logOut}>Log out</button>` : null}
				<button class="plain icon hide-narrow" aria-label="Keyboard shortcuts" title="Keyboard shortcuts (?)" onClick=${help}>
					<svg viewBox="0 0 24 24"><rect x="3" y="6" width="18" height="12" rx="2" /><path d="M7 10h.01M11 10h.01M15 10h.01M8 14h8" /></svg></button>
				<button class="plain icon" aria-label=${`Switch to ${now === "dark" ? "light" : "dark"}`} title="Light or dark (d)" onClick=${toggleTheme}>
					${now === "dark"
						? html`<svg viewBox="0 0 24 24"><circle cx="12" cy="12" r="4" /><path d="M12 3v2M12 19v2M3 12h2M19 12h2M5.6 5.6 7 7M17 17l1.4 1.4M18.4 5.6 17 7M7 17l-1.4 1.4" /></svg>`
						: html`<svg viewBox="0 0 24 24"><path d="M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5z" /></svg>`}
				</button>
			</div>
		</header>
		<main id="main">${children}</main>
		<footer class="foot"><span>${me?.version ? `Weir ${me.version}` : "Weir"}</span>${me?.user ? html`<span>logged in as ${me.user}</span>` : null}</footer>
		<${Toasts} />
		<${Dialogs} />`;
}

/** Whether the figures are live. */
function StreamState() {
	const { state, since } = useStore(live);
	if (state === "live") return html`<span class="stream" role="status"><i class="dot good"></i><span class="hide-narrow">Live</span></span>`;
	if (state === "connecting") return html`<span class="stream" role="status"><i class="dot"></i>Connecting…</span>`;
	return html`<span class="stream warn" role="status" title=${`since ${relative(since)}`}><i class="dot bad"></i>Reconnecting…</span>`;
}

/**
 * The head of a page: its name, what it belongs to, what can be done.
 * @param {{title: string, kind?: string, above?: [string, string][], badges?: Children, children?: Children}} props
 */
export function PageHead({ title, kind = "", above = [], badges, children }) {
	const heading = useRef(/** @type {HTMLElement | null} */ (null));
	useEffect(() => {
		document.title = `${title} – Weir`;
		if (takeArrival()) heading.current?.focus({ preventScroll: true });
	}, [title]);
	return html`<div class="page-head">
		${above.length > 0 ? html`<nav class="crumbs" aria-label="Above this page">
			${above.map(([name, href]) => html`<${Link} key=${href} href=${href}>${name}<//> / `)}${kind}</nav>` : null}
		<h1 tabindex="-1" ref=${heading}>${title}</h1>
		${badges}
		${children ? html`<div class="actions">${children}</div>` : null}
	</div>`;
}

function help() {
	show(() => html`<h2 id="dialog-title">Keyboard</h2>
		<dl class="keys">${shortcuts.map((s) => html`<dt key=${s.keys}>${s.keys.split(/\s+/).map((k) => html`<kbd>${k}</kbd> `)}</dt><dd>${s.does}</dd>`)}</dl>`);
}
