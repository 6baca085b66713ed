// The state of everything at a glance.
import { html } from "../html.js";
import { Meter, fullIn } from "../disk.js";
import { bytes, duration, plural, rate, short } from "../format.js";
import { Charts, useHistory } from "../history.js";
import { useWatched } from "../live.js";
import { Whole } from "../load.js";
import { Link, address } from "../router.js";
import { PageHead } from "../shell.js";
import { Tile } from "../tiles.js";
import { NodeTable } from "./nodes.js";

/** @typedef {import("../model.js").Overview} Overview */

const sparkPoints = 60;
const soonS = 86_400; // a disk that is full within a day is an alarm

export function OverviewPage() {
	const loaded = useWatched("overview");
	const nodes = useWatched("nodes");
	const history = useHistory({});
	/** @type {Overview | null} */
	const o = loaded.data;
	/** @param {"in" | "out" | "depth" | "in_flight" | "deferred" | "requeued" | "timed_out"} name */
	const course = (name) => history.data?.[name].slice(-sparkPoints) ?? [];
	return html`<${PageHead} title="Overview" badges=${o ? html`<span class="muted">${plural(o.totals.topics, "topic")}, ${plural(o.totals.channels, "channel")}, ${plural(o.totals.clients, "consumer")}</span>` : null} />
		<${Whole} loaded=${loaded} what="overview">${o ? html`
			<div class="tiles">
				<${Tile} name="In" value=${rate(o.rates.in)} unit="/s" course=${course("in")} />
				<${Tile} name="Out" value=${rate(o.rates.out)} unit="/s" course=${course("out")} colour="series-2" />
				<${Tile} name="Depth" value=${short(o.totals.depth)} course=${course("depth")} />
				<${Tile} name="In flight" value=${short(o.totals.in_flight)} course=${course("in_flight")} />
				<${Tile} name="Deferred" value=${short(o.totals.deferred)} course=${course("deferred")} colour="series-3" />
				<${Tile} name="Requeued" value=${rate(o.rates.requeued)} unit="/s" course=${course("requeued")} colour="series-2" />
				<${Tile} name="Timed out" value=${rate(o.rates.timed_out)} unit="/s" course=${course("timed_out")} colour="series-4" />
			</div>
			<div class="tiles">
				<${NodesTile} overview=${o} />
				<${SyncTile} overview=${o} />
				<${DiskTile} overview=${o} />
			</div>
			<${Charts} history=${history.data} />` : null}
			<section><div class="section-head"><h2>Nodes</h2><${Link} href=${address("nodes")}>More<//></div>
				<${NodeTable} nodes=${nodes.data?.nodes ?? []} brief=${true} /></section>
		<//>`;
}

/** @param {{overview: Overview}} props */
function NodesTile({ overview: o }) {
	const all = o.nodes_up + o.nodes_down;
	const unwell = o.unhealthy.length;
	return html`<${Tile} name="Nodes up" value=${`${o.nodes_up}`} unit=${` of ${all}`} alarm=${o.nodes_down > 0 || unwell > 0}
		note=${unwell > 0 ? html`<span class="bad">${unwell === 1 ? `${o.unhealthy[0]} is not well` : `${unwell} are not well`}</span>`
			: o.nodes_down > 0 ? html`<span class="bad">${plural(o.nodes_down, "node")} down</span>`
			: o.lookupds_down > 0 ? html`<span class="bad">${plural(o.lookupds_down, "lookup service")} down</span>` : "all well"} />`;
}

/** @param {{overview: Overview}} props */
function SyncTile({ overview: o }) {
	const s = o.sync_latency;
	if (!s) return html`<${Tile} name="Sync latency" value="–" note="stock nsqd does not sync" />`;
	if (s.count === 0) return html`<${Tile} name="Sync latency" value="–" note="nothing written this minute" />`;
	return html`<${Tile} name="Sync latency, p99" value=${duration(s.p99_ms / 1000)} note=${`p50 ${duration(s.p50_ms / 1000)}, max ${duration(s.max_ms / 1000)}`} />`;
}

/** @param {{overview: Overview}} props */
function DiskTile({ overview: o }) {
	const d = o.disk;
	if (!d) return html`<${Tile} name="Disk" value="–" note="stock nsqd does not tell" />`;
	const soon = d.full_in_s !== null && d.full_in_s < soonS;
	return html`<${Tile} name="Disk free" value=${bytes(d.free_bytes)} alarm=${soon}
		note=${html`<${Meter} disk=${d} /><span class=${soon ? "bad" : undefined} title=${d.node}>${fullIn(d)}</span>`} />`;
}
