import { SquareTerminal } from "lucide-react";
import { Link } from "wouter";
import { self, terminalsPath } from "../../api/machine.ts";
import type { PeerList } from "../../api/types.ts";
import { Copyable } from "../../ui/copyable.tsx";
import { DataTable } from "../../ui/data-table.tsx";
import { StatusDot } from "../../ui/status-dot.tsx";
import { t } from "../text/machines.ts";
import { PeerRow } from "./peer-row.tsx";

export function MachineTable({ list, stale }: { list: PeerList; stale: boolean }) {
	return (
		<DataTable columns={t.columns} stale={stale} className="machines">
			<tr>
				<td className="cell-machine">
					<Link href={terminalsPath(self)} className="machine-name">
						{list.self.name}
					</Link>
					<Copyable text={`${list.self.host}:${list.self.port}`} label={t.address} />
				</td>
				<td className="cell-state">
					<StatusDot state="up">{t.thisMachine}</StatusDot>
				</td>
				<td className="cell-distance">{t.direct}</td>
				<td className="cell-version mono">{list.self.version}</td>
				<td className="cell-source" />
				<td className="cell-access">{t.signedIn}</td>
				<td className="cell-actions">
					<Link href={terminalsPath(self)} className="icon-button" aria-label={`${t.open}: ${list.self.name}`}>
						<SquareTerminal size={17} />
					</Link>
				</td>
			</tr>
			{list.peers.map((peer) => (
				<PeerRow key={peer.id} peer={peer} />
			))}
		</DataTable>
	);
}
