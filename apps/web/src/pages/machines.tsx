import { Ellipsis, LogOut, Plus, RefreshCw, Server, SquareTerminal, Trash2 } from "lucide-react";
import { type FormEvent, useState } from "react";
import { Link, useLocation, useSearch } from "wouter";
import { self, terminalsPath } from "../api/machine.ts";
import type { Peer, PeerList } from "../api/types.ts";
import { skewOf } from "../api/version.ts";
import { api, credentials, queryClient, useCredential, usePeers } from "../api/warren.tsx";
import { Copyable } from "../ui/copyable.tsx";
import { Confirm, Dialog } from "../ui/dialog.tsx";
import { Field } from "../ui/field.tsx";
import { Menu, MenuItem, MenuSeparator } from "../ui/menu.tsx";
import { Empty, ErrorNotice, Notice, Skeletons, StaleNotice } from "../ui/states.tsx";
import { StatusDot } from "../ui/status-dot.tsx";
import { agoOf, millisecondsOf } from "../ui/time.ts";
import { toastError } from "../ui/toast.tsx";
import { PinCard } from "./pin-card.tsx";
import { t } from "./text/machines.ts";

/** Every machine that this one knows, with what keeps any of them away. */
export function MachinesPage() {
	const [, navigate] = useLocation();
	const adding = new URLSearchParams(useSearch()).has("add");
	const { data, error, isPending, dataUpdatedAt, refetch } = usePeers();
	const changed = data?.peers.filter((peer) => peer.error?.code === "pin_mismatch") ?? [];
	return (
		<div className="page">
			<header className="page-head">
				<h1>{t.title}</h1>
				<div className="actions">
					<button type="button" className="button primary" onClick={() => navigate("/machines?add")}>
						<Plus size={16} aria-hidden="true" /> {t.add}
					</button>
				</div>
			</header>
			{error !== null && data === undefined && <ErrorNotice failure={error} onRetry={() => void refetch()} />}
			{error !== null && data !== undefined && (
				<StaleNotice failure={error} at={dataUpdatedAt} onRetry={() => void refetch()} />
			)}
			{changed.map((peer) => (
				<PinCard key={peer.id} peer={peer.id} name={peer.name} />
			))}
			{isPending && <Skeletons count={3} height={60} label={t.loading} />}
			{data !== undefined && <MachineTable list={data} stale={error !== null} />}
			{data?.peers.length === 0 && data.errors.every(isAbsence) && (
				<Empty
					icon={<Server size={28} aria-hidden="true" />}
					action={
						<button type="button" className="button" onClick={() => navigate("/machines?add")}>
							<Plus size={16} aria-hidden="true" /> {t.add}
						</button>
					}
				>
					{t.empty}
				</Empty>
			)}
			{data?.errors.map((failure) => (
				<Notice
					key={`${failure.source}/${failure.kind}`}
					tone={isAbsence(failure) ? "plain" : "warn"}
					title={isAbsence(failure) ? failure.message : t.sourceFailed(failure.source)}
				>
					{!isAbsence(failure) && <span>{failure.message}</span>}
					<FixLine fix={failure.fix} />
					<span className="code mono">{failure.kind}</span>
				</Notice>
			))}
			<AddMachine open={adding} onClose={() => navigate("/machines", { replace: true })} />
		</div>
	);
}

/** A source that is not on this machine has not failed: it is told, without alarm. */
const isAbsence = ({ kind }: PeerList["errors"][number]) => kind.endsWith("_not_installed");

/** A fix that is a command can be copied; a sentence is read. */
function FixLine({ fix }: { fix: string }) {
	const command = /^(?:sudo |tailscale |warren |apt |brew )\S[^.]*$/.test(fix) ? fix : undefined;
	if (command !== undefined) return <Copyable text={command} label="command" />;
	return <span className="muted">{fix}</span>;
}

function MachineTable({ list, stale }: { list: PeerList; stale: boolean }) {
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
							<span className="visually-hidden">Actions</span>
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

function PeerRow({ peer }: { peer: Peer }) {
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
			<td className="cell-distance">{peer.reachable && peer.rttMs !== undefined ? millisecondsOf(peer.rttMs) : "–"}</td>
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
				<Menu
					label={t.actions(peer.name)}
					trigger={
						<button type="button" className="icon-button">
							<Ellipsis size={17} />
						</button>
					}
				>
					<MenuItem icon={<SquareTerminal size={16} />} onSelect={() => navigate(terminalsPath(peer.id))}>
						{t.open}
					</MenuItem>
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

function AddMachine({ open, onClose }: { open: boolean; onClose: () => void }) {
	const [failure, setFailure] = useState<unknown>();
	const [busy, setBusy] = useState(false);
	async function submit(event: FormEvent<HTMLFormElement>) {
		event.preventDefault();
		const form = new FormData(event.currentTarget);
		const name = String(form.get("name")).trim();
		setBusy(true);
		setFailure(undefined);
		try {
			await api.request<Peer>(self, "/api/peers", {
				method: "POST",
				body: {
					host: String(form.get("host")).trim(),
					port: Number(form.get("port")),
					...(name === "" ? {} : { name }),
				},
			});
			await queryClient.invalidateQueries({ queryKey: [self, "peers"] });
			onClose();
		} catch (thrown) {
			setFailure(thrown);
		} finally {
			setBusy(false);
		}
	}
	return (
		<Dialog open={open} onClose={onClose} title={t.addTitle} lead={t.addLead}>
			<form className="form" onSubmit={(event) => void submit(event)}>
				<div className="host-port">
					<Field label={t.host} hint={t.hostHint}>
						{(ids) => (
							<input
								{...ids}
								className="input mono"
								name="host"
								autoCapitalize="none"
								autoComplete="off"
								spellCheck={false}
								maxLength={253}
								required
							/>
						)}
					</Field>
					<Field label={t.port}>
						{(ids) => (
							<input
								{...ids}
								className="input mono"
								name="port"
								type="number"
								inputMode="numeric"
								min={1}
								max={65535}
								defaultValue={5151}
								required
							/>
						)}
					</Field>
				</div>
				<Field label={t.name} hint={t.nameHint}>
					{(ids) => <input {...ids} className="input" name="name" autoComplete="off" maxLength={64} />}
				</Field>
				{failure !== undefined && <ErrorNotice failure={failure} />}
				<div className="row end">
					<button type="submit" className="button primary" disabled={busy}>
						{t.addAction}
					</button>
				</div>
			</form>
		</Dialog>
	);
}
