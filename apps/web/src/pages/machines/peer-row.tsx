import { Globe, LogOut, RefreshCw, SquareTerminal, Trash2 } from "lucide-react";
import { useState } from "react";
import { Link, useLocation } from "wouter";
import { self, servicesPath, terminalsPath } from "../../api/machine.ts";
import type { Peer } from "../../api/types.ts";
import { skewOf } from "../../api/version.ts";
import { api, credentials, queryClient, useCredential } from "../../api/warren.tsx";
import { Copyable } from "../../ui/copyable.tsx";
import { Confirm } from "../../ui/dialog.tsx";
import { Menu, MenuItem, MenuSeparator } from "../../ui/menu.tsx";
import { StatusDot } from "../../ui/status-dot.tsx";
import { agoOf, millisecondsOf } from "../../ui/time.ts";
import { toastError } from "../../ui/toast.tsx";
import { t } from "../text/machines.ts";

export function PeerRow({ peer }: { peer: Peer }) {
	const [, navigate] = useLocation();
	const [removing, setRemoving] = useState(false);
	const signedIn = useCredential(peer.id) !== undefined;
	const older = skewOf(peer.version, __WARREN_VERSION__) === "older";
	const changed = peer.error?.code === "pin_mismatch";
	const path = `/api/peers/${encodeURIComponent(peer.id)}`;
	const refresh = () => queryClient.invalidateQueries({ queryKey: [self, "peers"] });
	return (
		<tr>
			<td className="cell-machine">
				<Link href={terminalsPath(peer.id)} className="machine-name">
					{peer.name}
				</Link>
				<Copyable text={`${peer.host}:${peer.port}`} label={t.address} />
			</td>
			<td className="cell-state">
				<StatusDot state={changed ? "warn" : peer.reachable ? "up" : "down"}>
					{changed ? t.changed : peer.reachable ? t.reachable : t.away}
				</StatusDot>
				{!peer.reachable && (
					<span className="small faint">
						{peer.lastSeenAt === undefined ? t.neverSeen : t.lastSeen(agoOf(peer.lastSeenAt))}
					</span>
				)}
				{!peer.reachable && !changed && peer.error !== undefined && (
					<span className="small muted">
						{peer.error.message} {peer.error.fix}
					</span>
				)}
			</td>
			<td className="cell-distance" title={peer.path === undefined ? undefined : t.pathNotes[peer.path]}>
				{peer.reachable && peer.rttMs !== undefined ? millisecondsOf(peer.rttMs) : "–"}
				{peer.path !== undefined && <span className="small faint"> {t.paths[peer.path]}</span>}
			</td>
			<td className="cell-version">
				{older ? (
					<span className="tag warn" title={t.olderNote(peer.name, peer.version ?? "", __WARREN_VERSION__)}>
						{t.older(peer.version ?? "")}
					</span>
				) : (
					<span className="mono">{peer.version ?? "–"}</span>
				)}
			</td>
			<td className="cell-source">{peer.sources.join(", ") || peer.source}</td>
			<td className="cell-access">{signedIn ? t.signedIn : <Link href={terminalsPath(peer.id)}>{t.signIn}</Link>}</td>
			<td className="cell-actions">
				<Menu label={t.actions(peer.name)}>
					<MenuItem icon={<SquareTerminal size={16} />} onSelect={() => navigate(terminalsPath(peer.id))}>
						{t.open}
					</MenuItem>
					{signedIn && (
						<MenuItem icon={<Globe size={16} />} onSelect={() => navigate(servicesPath(peer.id))}>
							{t.services}
						</MenuItem>
					)}
					<MenuItem
						icon={<RefreshCw size={16} />}
						onSelect={() =>
							void api
								.request(self, `${path}/probe`, { method: "POST" })
								.then(refresh)
								.catch((failure) => toastError(peer.name, failure))
						}
					>
						{t.probe}
					</MenuItem>
					{signedIn && (
						<MenuItem icon={<LogOut size={16} />} onSelect={() => credentials.drop(peer.id)}>
							{t.forgetSignIn}
						</MenuItem>
					)}
					{peer.sources.concat(peer.source).includes("manual") && (
						<>
							<MenuSeparator />
							<MenuItem icon={<Trash2 size={16} />} danger onSelect={() => setRemoving(true)}>
								{t.remove}
							</MenuItem>
						</>
					)}
				</Menu>
				<Confirm
					open={removing}
					onClose={() => setRemoving(false)}
					title={t.removeTitle(peer.name)}
					action={t.remove}
					onConfirm={async () => {
						await api.request(self, path, { method: "DELETE" });
						credentials.drop(peer.id);
						await refresh();
					}}
				>
					{t.removeBody(peer.name)}
				</Confirm>
			</td>
		</tr>
	);
}
