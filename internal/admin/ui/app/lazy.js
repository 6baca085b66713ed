// Parts of the program that are loaded when they are first shown, to keep the first view small.
import { useEffect, useState } from "../vendor/hooks.mjs";
import { html } from "./html.js";

/**
 * A component that stands in for one of a module that is not loaded yet. The import must be written out, for the tests that read it:
 * lazy(() => import("./browser.js"), "LogBrowser").
 * @param {() => Promise<Record<string, any>>} load
 * @param {string} name of the component in the module
 */
export function lazy(load, name) {
	/** @type {any} */
	let loaded = null;
	/** @param {Record<string, any>} props */
	return function Lazy(props) {
		const [, redraw] = useState({});
		const [failed, setFailed] = useState(false);
		useEffect(() => {
			if (loaded) return;
			load().then((module) => {
				loaded = module[name];
				redraw({});
			}, () => setFailed(true));
		}, []);
		if (failed) return html`<p class="notice bad" role="alert">A part of the page could not be loaded. Is the admin server up? Load the page again.</p>`;
		return loaded ? html`<${loaded} ...${props} />` : html`<p class="starting" role="status">Loading…</p>`;
	};
}
