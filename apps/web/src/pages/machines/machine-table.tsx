import { SquareTerminal } from "lucide-react";
import { Link } from "wouter";
import { self, terminalsPath } from "../../api/machine.ts";
import type { PeerList } from "../../api/types.ts";
import { Copyable } from "../../ui/copyable.tsx";
import { StatusDot } from "../../ui/status-dot.tsx";
import { t as ui } from "../../ui/text.ts";
import { t } from "../text/machines.ts";
import { PeerRow } from "./peer-row.tsx";

export function MachineTable({ list, stale }: { list: PeerList; stale: boolean }) {
	return (
		<div className={stale ? "card machines stale" : "card machines"}>
			<table className="table">
				<thead>
					<tr>
						{Object.entries(t.columns).map(([key, label]) => (
							<th key={key} scope="col">
								{label}
							</th>
						))}
						<th scope="col">
							<span className="visually-hidden">{ui.actions}</span>
						</th>
					</tr>
				</thead>
				<tbody>
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
				</tbody>
			</table>
		</div>
	);
}
