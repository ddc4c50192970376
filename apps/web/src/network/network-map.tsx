import { useNarrow } from "../ui/narrow.ts";
import type { Edge, OverlayRow } from "./overlay-rows.ts";
import { t } from "./text.ts";

/** What the picture is drawn on; a phone's is smaller, so that its words are not. */
const wide = { width: 760, height: 340, across: 250, down: 105 };
const small = { width: 380, height: 320, across: 120, down: 105 };
type Sheet = typeof wide;
/** Three stand in a row: no empty sky above them. */
const maxInRow = 3;
const rowSheet = { height: 170, down: 40 };
/** More would be a knot; the table has them all. */
const maxDrawn = 32;
const maxLabel = 18;

interface Spot {
	readonly x: number;
	readonly y: number;
}

/** The network as a picture: this machine in the middle, the others around it, lines as packets go. */
export function NetworkMap({ rows, edges }: { rows: readonly OverlayRow[]; edges: readonly Edge[] }) {
	const drawn = rows.slice(0, maxDrawn);
	const inRow = drawn.length <= maxInRow && drawn.every(({ parent }) => parent === undefined);
	const sheet = { ...(useNarrow() ? small : wide), ...(inRow ? rowSheet : {}) };
	const { width, height } = sheet;
	const spots = placesOf(drawn, sheet);
	return (
		<figure className="card network-map">
			<svg viewBox={`0 0 ${width} ${height}`} role="img" aria-label={t.map(rows.length)}>
				{edges.map(({ from, to, path }) => {
					const [a, b] = [spots.get(from), spots.get(to)];
					if (a === undefined || b === undefined) return null;
					return <line key={`${from} ${to}`} className="edge" data-path={path} x1={a.x} y1={a.y} x2={b.x} y2={b.y} />;
				})}
				{drawn.map((row) => {
					const spot = spots.get(row.id) as Spot;
					return (
						<g key={row.id} className="node" data-path={row.path} data-device={row.parent !== undefined}>
							<title>{`${row.name}: ${t.paths[row.path]}. ${row.why}`}</title>
							<circle cx={spot.x} cy={spot.y} r={row.isSelf ? 15 : row.parent === undefined ? 11 : 7} />
							<text x={spot.x} y={spot.y + (row.isSelf ? 33 : 28)} textAnchor="middle">
								{short(row.name)}
							</text>
						</g>
					);
				})}
			</svg>
			<figcaption className="legend small muted">
				{(["direct", "relay", "tunnel"] as const).map((path) => (
					<span key={path} className="row">
						<svg width="28" height="8" aria-hidden="true">
							<line className="edge" data-path={path} x1="1" y1="4" x2="27" y2="4" />
						</svg>
						{t.paths[path]}
					</span>
				))}
				{rows.length > maxDrawn && <span>{t.mapMore(rows.length - maxDrawn)}</span>}
			</figcaption>
		</figure>
	);
}

/** The same peers always stand in the same places: nothing jumps when figures change. */
function placesOf(rows: readonly OverlayRow[], sheet: Sheet): ReadonlyMap<string, Spot> {
	const centre = { x: sheet.width / 2, y: sheet.height / 2 - 8 };
	const places = new Map<string, Spot>();
	const present = new Set(rows.map((row) => row.id));
	const isDevice = (row: OverlayRow) => row.parent !== undefined && present.has(row.parent);
	const machines = rows.filter((row) => !isDevice(row));
	const hasSelf = machines.some((row) => row.isSelf);
	const around = machines.filter((row) => !row.isSelf);
	for (const row of machines) if (row.isSelf) places.set(row.id, centre);
	for (const [index, row] of around.entries()) {
		const only = around.length === 1 && !hasSelf;
		// One beside this machine stands to its right.
		const angle = around.length === 1 ? 0 : ((index + 0.5) / around.length) * 2 * Math.PI - Math.PI / 2;
		places.set(row.id, only ? centre : at(sheet, centre, angle, sheet.across, sheet.down));
	}
	for (const parent of machines) {
		const spot = places.get(parent.id) as Spot;
		const devices = rows.filter((row) => isDevice(row) && row.parent === parent.id);
		for (const [index, row] of devices.entries()) {
			const outward = parent.isSelf || spot === centre ? Math.PI / 2 : Math.atan2(spot.y - centre.y, spot.x - centre.x);
			places.set(row.id, at(sheet, spot, outward + (index - (devices.length - 1) / 2) * 0.7, 74, 52));
		}
	}
	return places;
}

function at({ width, height }: Sheet, from: Spot, angle: number, across: number, down: number): Spot {
	return {
		x: Math.min(width - 50, Math.max(50, from.x + across * Math.cos(angle))),
		y: Math.min(height - 36, Math.max(22, from.y + down * Math.sin(angle))),
	};
}

const short = (name: string) => (name.length > maxLabel ? `${name.slice(0, maxLabel - 1)}…` : name);
