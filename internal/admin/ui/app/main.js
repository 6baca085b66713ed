// Starts the admin page.
import { render } from "../vendor/preact.mjs";
import { useEffect, useState } from "../vendor/hooks.mjs";
import { Guard } from "./guard.js";
import { html } from "./html.js";
import { ChannelPage } from "./pages/channel.js";
import { CounterPage } from "./pages/counter.js";
import { LoginPage } from "./pages/login.js";
import { LookupPage } from "./pages/lookup.js";
import { NodePage } from "./pages/node.js";
import { NodesPage } from "./pages/nodes.js";
import { OverviewPage } from "./pages/overview.js";
import { TopicPage } from "./pages/topic.js";
import { TopicsPage } from "./pages/topics.js";
import { Link, address, usePlace } from "./router.js";
import { checkSession, mustLogIn, session } from "./session.js";
import { PageHead, Shell } from "./shell.js";
import { useStore } from "./store.js";

/** The page of an address. The key makes another topic another page, with nothing left over from the last. */
function Page() {
	const { parts } = usePlace();
	const [first, second, third, ...rest] = parts;
	const key = parts.join("/");
	if (rest.length === 0) {
		if (first === undefined) return html`<${OverviewPage} />`;
		if (first === "topics" && second === undefined) return html`<${TopicsPage} />`;
		if (first === "topics" && third === undefined) return html`<${TopicPage} key=${key} topic=${second} />`;
		if (first === "topics") return html`<${ChannelPage} key=${key} topic=${second} channel=${third} />`;
		if (first === "nodes" && second === undefined) return html`<${NodesPage} />`;
		if (first === "nodes" && third === undefined) return html`<${NodePage} key=${key} node=${second} />`;
		if (first === "lookup" && second === undefined) return html`<${LookupPage} />`;
		if (first === "counter" && second === undefined) return html`<${CounterPage} />`;
	}
	return html`<${PageHead} title="Not found" />
		<div class="panel blank"><h2>There is no such page</h2><p><${Link} href=${address()}>Overview<//></p></div>`;
}

function App() {
	const me = useStore(session);
	const { parts } = usePlace();
	const [error, setError] = useState("");
	useEffect(() => {
		checkSession().catch((err) => setError(err.message));
	}, []);
	if (!me) {
		return html`<${Shell}>${error ? html`<div class="panel blank" role="alert"><h2>The admin page cannot start</h2><p>${error}.</p>
			<button class="button" onClick=${() => location.reload()}>Try again</button></div>` : html`<p class="starting" role="status">Loading…</p>`}<//>`;
	}
	if (mustLogIn(me)) return html`<${LoginPage} />`;
	return html`<${Shell}><${Guard} key=${parts.join("/")}><${Page} /><//><//>`;
}

const root = document.getElementById("app");
if (root) {
	root.textContent = "";
	render(html`<${App} />`, root);
}
