import "./network.css";
import { Network, Smartphone } from "lucide-react";
import { useRef, useState } from "react";
import { useLocation, useSearch } from "wouter";
import { self } from "../api/machine.ts";
import { queryClient, usePeers, useStatus } from "../api/warren.tsx";
import { ActionButton } from "../ui/action-button.tsx";
import { Copyable } from "../ui/copyable.tsx";
import { Empty, ErrorNotice, Notice, Skeletons, StaleNotice } from "../ui/states.tsx";
import { t as ui } from "../ui/text.ts";
import { agoOf } from "../ui/time.ts";
import { toastError } from "../ui/toast.tsx";
import { AddDevice } from "./add-device.tsx";
import { type NetworkView, networkKey, type RemovedPeer, readmitPeer, useNetwork } from "./network-api.ts";
import { NetworkMap } from "./network-map.tsx";
import { edgesOf, joinerStaleMs, rowsOf } from "./overlay-rows.ts";
import { OverlayTable } from "./overlay-table.tsx";
import { type Pair, ReachForm } from "./reach-form.tsx";
import { t } from "./text.ts";

/** Who is on the private network, and by which way each is reached. */
export function NetworkPage() {
	const { data, error, isPending, dataUpdatedAt, refetch } = useNetwork();
	const [, navigate] = useLocation();
	const adding = new URLSearchParams(useSearch()).has("add");
	const joiner = data?.joiner ?? null;
	return (
		<div className="page">
			<header className="page-head">
				<div>
					<h1>{t.title}</h1>
					<p className="muted small">{joiner === null ? t.leadOff : t.lead(joiner.name, joiner.ula)}</p>
				</div>
				<div className="actions">
					{joiner !== null && (
						<button type="button" className="button primary" onClick={() => navigate("/network?add")}>
							<Smartphone size={16} aria-hidden="true" /> {t.addDevice}
						</button>
					)}
				</div>
			</header>
			{error !== null && data === undefined && <ErrorNotice failure={error} onRetry={() => void refetch()} />}
			{error !== null && data !== undefined && (
				<StaleNotice failure={error} at={dataUpdatedAt} onRetry={() => void refetch()} />
			)}
			{isPending && <Skeletons count={4} height={60} label={t.loading} />}
			{data !== undefined && <View view={data} stale={error !== null} />}
			<AddDevice
				open={adding}
				onClose={() => navigate("/network", { replace: true })}
				endpoint={joiner?.endpoint ?? ""}
			/>
		</div>
	);
}

function View({ view, stale }: { view: NetworkView; stale: boolean }) {
	const tunnelled = usePeers().data?.peers.flatMap(({ path, ula }) =>
		path === "tunnel" && ula !== undefined ? [ula] : [],
	);
	const rows = rowsOf(view, tunnelled);
	const names = rows.map((row) => row.name);
	const [chosen, setPair] = useState<Partial<Pair>>({});
	const reach = useRef<HTMLDivElement>(null);
	const pair = { from: chosen.from ?? names[0] ?? "", to: chosen.to ?? names[1] ?? names[0] ?? "" };
	function why(name: string) {
		setPair({ from: names[0] ?? "", to: name });
		reach.current?.scrollIntoView({ block: "center" });
		reach.current?.querySelector("select")?.focus({ preventScroll: true });
	}
	return (
		<>
			<Conditions view={view} />
			{rows.length === 0 && view.error === null && (
				<Empty icon={<Network size={28} aria-hidden="true" />}>{t.empty}</Empty>
			)}
			{rows.length > 0 && (
				<>
					<NetworkMap rows={rows} edges={edgesOf(view, rows)} />
					<OverlayTable rows={rows} stale={stale} mayRemove={view.coordinator !== null} onWhy={why} />
				</>
			)}
			{view.coordinator !== null && rows.length > 1 && (
				<div ref={reach}>
					<ReachForm names={names} pair={pair} onPair={setPair} />
				</div>
			)}
			{view.coordinator !== null && view.coordinator.removed.length > 0 && <Removed peers={view.coordinator.removed} />}
		</>
	);
}

/** What keeps this machine from the network, or the network from this page. */
function Conditions({ view: { joiner, error, firstMachine } }: { view: NetworkView }) {
	const age = joiner === null ? 0 : Date.now() - joiner.updated_at;
	const status = useStatus(self).data;
	const role = status?.roles.find(({ name }) => name === "overlay");
	const down = status?.health.conditions.find(({ code, subject }) => code === "role-down" && subject === "overlay");
	return (
		<>
			{joiner === null && (
				<Notice tone={down === undefined ? "plain" : "error"} title={t.off.title}>
					{down === undefined ? (
						<span className="muted">{role?.state === "restarting" ? t.off.starting : t.off.body}</span>
					) : (
						<>
							<span>{down.title}</span>
							<span className="muted">{down.advice}</span>
						</>
					)}
					<Copyable text={t.off.command} label={ui.values.command} />
				</Notice>
			)}
			{joiner !== null && age > joinerStaleMs && (
				<Notice tone="warn" title={t.stale(agoOf(joiner.updated_at))}>
					<span className="muted">{t.staleFix}</span>
				</Notice>
			)}
			{joiner?.conditions.map((each) => (
				<Notice key={each.code} tone={each.severity === "info" ? "plain" : "warn"} title={each.title}>
					<span className="muted">{each.advice}</span>
				</Notice>
			))}
			{firstMachine !== null ? (
				<Notice
					title={t.elsewhere}
					action={
						<a className="button" href={`${firstMachine}/network`}>
							{new URL(firstMachine).host}
						</a>
					}
				/>
			) : (
				error !== null && (
					<Notice tone={error.error === "not_here" ? "plain" : "warn"} title={error.message}>
						<span className="muted">{error.fix}</span>
						<span className="code mono">{error.error}</span>
					</Notice>
				)
			)}
		</>
	);
}

function Removed({ peers }: { peers: readonly RemovedPeer[] }) {
	return (
		<section className="stack tight" aria-labelledby="removed-title">
			<h2 id="removed-title">{t.removed}</h2>
			<p className="muted small">{t.removedLead}</p>
			<ul className="card list">
				{peers.map((peer) => (
					<li key={peer.peer_id}>
						<span className="grow">
							<Copyable text={peer.ula} label={t.address} />
						</span>
						<ActionButton
							act={() =>
								readmitPeer(peer.peer_id)
									.then(() => queryClient.invalidateQueries({ queryKey: networkKey }))
									.catch((failure) => toastError(peer.ula, failure))
							}
						>
							{t.readmit}
						</ActionButton>
					</li>
				))}
			</ul>
		</section>
	);
}
