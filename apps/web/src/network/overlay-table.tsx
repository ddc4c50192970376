import { CircleHelp, Trash2 } from "lucide-react";
import { useState } from "react";
import { queryClient } from "../api/warren.tsx";
import { Copyable } from "../ui/copyable.tsx";
import { DataTable } from "../ui/data-table.tsx";
import { Confirm } from "../ui/dialog.tsx";
import { Menu, MenuItem, MenuSeparator } from "../ui/menu.tsx";
import { type MachineState, StatusDot } from "../ui/status-dot.tsx";
import { agoOf, bytesOf, millisecondsOf, momentOf } from "../ui/time.ts";
import { networkKey, removePeer } from "./network-api.ts";
import type { OverlayRow, PathKind } from "./overlay-rows.ts";
import { t } from "./text.ts";

const states: Readonly<Record<PathKind, MachineState>> = {
	self: "up",
	direct: "up",
	relay: "warn",
	tunnel: "warn",
	away: "down",
	unknown: "unknown",
};

/** Every peer in words: what the map shows, and more. */
export function OverlayTable(props: {
	rows: readonly OverlayRow[];
	stale: boolean;
	/** Whether this machine may take peers out. */
	mayRemove: boolean;
	onWhy: (name: string) => void;
}) {
	return (
		<DataTable columns={t.columns} stale={props.stale} className="stacking">
			{props.rows.map((row) => (
				<Row key={row.id} row={row} mayRemove={props.mayRemove} onWhy={props.onWhy} />
			))}
		</DataTable>
	);
}

function Row({ row, mayRemove, onWhy }: { row: OverlayRow; mayRemove: boolean; onWhy: (name: string) => void }) {
	const [removing, setRemoving] = useState(false);
	return (
		<tr>
			<td className="cell-first">
				<span className={row.parent === undefined ? "machine-name" : "machine-name behind"}>{row.name}</span>
				<Copyable text={row.ula} label={t.address} />
			</td>
			<td data-label={t.columns.path} className="cell-path">
				<StatusDot state={states[row.path]}>{t.paths[row.path]}</StatusDot>
				{row.why !== "" && <span className="small muted">{row.why}</span>}
			</td>
			<td data-label={t.columns.distance}>{row.rttMs === null ? "–" : millisecondsOf(row.rttMs)}</td>
			<td
				data-label={t.columns.handshake}
				title={row.lastHandshakeAt === null ? undefined : momentOf(row.lastHandshakeAt)}
			>
				{row.lastHandshakeAt === null ? "–" : agoOf(row.lastHandshakeAt)}
			</td>
			<td data-label={t.columns.traffic} className="nowrap">
				{row.isSelf || row.path === "unknown" ? "–" : `${bytesOf(row.receivedBytes)} / ${bytesOf(row.sentBytes)}`}
			</td>
			<td data-label={t.columns.tags}>
				{row.tags.length === 0
					? "–"
					: row.tags.map((tag) => (
							<span key={tag} className="tag">
								{tag}
							</span>
						))}
			</td>
			<td className="cell-actions">
				{!row.isSelf && (
					<Menu label={t.actions(row.name)}>
						<MenuItem icon={<CircleHelp size={16} />} onSelect={() => onWhy(row.name)}>
							{t.whyFor(row.name)}
						</MenuItem>
						{mayRemove && (
							<>
								<MenuSeparator />
								<MenuItem icon={<Trash2 size={16} />} danger onSelect={() => setRemoving(true)}>
									{t.remove}
								</MenuItem>
							</>
						)}
					</Menu>
				)}
				<Confirm
					open={removing}
					onClose={() => setRemoving(false)}
					title={t.removeTitle(row.name)}
					action={t.remove}
					onConfirm={async () => {
						await removePeer(row.id);
						await queryClient.invalidateQueries({ queryKey: networkKey });
					}}
				>
					{t.removeBody(row.name)}
				</Confirm>
			</td>
		</tr>
	);
}
