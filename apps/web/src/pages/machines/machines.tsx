import { Plus, Server } from "lucide-react";
import { useLocation, useSearch } from "wouter";
import type { PeerList } from "../../api/types.ts";
import { usePeers } from "../../api/warren.tsx";
import { Copyable } from "../../ui/copyable.tsx";
import { Empty, ErrorNotice, Notice, Skeletons, StaleNotice } from "../../ui/states.tsx";
import { t as ui } from "../../ui/text.ts";
import { PinCard } from "../pin-card.tsx";
import { t } from "../text/machines.ts";
import { AddMachine } from "./add-machine.tsx";
import { MachineTable } from "./machine-table.tsx";

/** Every machine that this one knows, with what keeps any of them away. */
export function MachinesPage() {
	const [, navigate] = useLocation();
	const adding = new URLSearchParams(useSearch()).has("add");
	const { data, error, isPending, dataUpdatedAt, refetch } = usePeers({ watched: true });
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
			{data?.errors.map((failure) =>
				isAbsence(failure) ? (
					<p key={failure.kind} className="small muted">
						{failure.message} {failure.fix}
					</p>
				) : (
					<Notice key={`${failure.source}/${failure.kind}`} tone="warn" title={t.sourceFailed(failure.source)}>
						<span>{failure.message}</span>
						<FixLine fix={failure.fix} />
						<span className="code mono">{failure.kind}</span>
					</Notice>
				),
			)}
			<AddMachine open={adding} onClose={() => navigate("/machines", { replace: true })} />
		</div>
	);
}

/** A source that is not on this machine has not failed: it is told, without alarm. */
const isAbsence = ({ kind }: PeerList["errors"][number]) => kind.endsWith("_not_installed");

/** A fix that is a command can be copied; a sentence is read. */
function FixLine({ fix }: { fix: string }) {
	const command = /^(?:sudo |tailscale |warren |apt |brew )\S[^.]*$/.test(fix) ? fix : undefined;
	if (command !== undefined) return <Copyable text={command} label={ui.values.command} />;
	return <span className="muted">{fix}</span>;
}
