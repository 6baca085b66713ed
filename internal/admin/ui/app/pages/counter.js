// How many messages there have been, in large.
import { html } from "../html.js";
import { count, rate } from "../format.js";
import { useWatched } from "../live.js";
import { Whole } from "../load.js";
import { PageHead } from "../shell.js";

export function CounterPage() {
	const loaded = useWatched("overview");
	/** @type {import("../model.js").Overview | null} */
	const o = loaded.data;
	return html`<${PageHead} title="Counter" />
		<${Whole} loaded=${loaded} what="counter">${o ? html`
			<div class="panel counter">
				<div class="total">${count(o.totals.messages)}</div>
				<p class="muted">messages published since the nodes started</p>
				<p><b>${rate(o.rates.in)}</b> <span class="muted">in and</span> <b>${rate(o.rates.out)}</b> <span class="muted">out a second</span></p>
			</div>` : null}
		<//>`;
}
