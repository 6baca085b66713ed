// Keeps a page that cannot be drawn from taking everything with it.
import { Component } from "../vendor/preact.mjs";
import { html } from "./html.js";

/**
 * Draws its children, or, when drawing them fails, says so. Data that make no sense to a page must not blank it.
 * @extends {Component<{children: import("./html.js").Children}, {failed: string}>}
 */
export class Guard extends Component {
	constructor() {
		super();
		this.state = { failed: "" };
	}

	/** @param {unknown} err */
	static getDerivedStateFromError(err) {
		return { failed: err instanceof Error ? err.message : String(err) };
	}

	render() {
		if (this.state.failed === "") return this.props.children;
		return html`<div class="panel blank" role="alert"><h2>This page cannot be drawn</h2>
			<p>The server sent something that the page does not understand (${this.state.failed}).</p>
			<button class="button" onClick=${() => this.setState({ failed: "" })}>Try again</button></div>`;
	}
}
