import "./services.css";
import { useState } from "react";
import { useLocation, useSearch } from "wouter";
import { self, servicesPath } from "../api/machine.ts";
import { useMachineName } from "../api/warren.tsx";
import { NotHere } from "../pages/not-here.tsx";
import { Segments } from "../ui/field.tsx";
import { ErrorNotice, Skeletons, StaleNotice } from "../ui/states.tsx";
import { agoOf } from "../ui/time.ts";
import { ExposePort } from "./expose-port.tsx";
import { ExposeButton, ExposedPorts } from "./exposed-page.tsx";
import { PrincipalList } from "./principal-list.tsx";
import { ServiceTable } from "./service-table.tsx";
import { useCluster, useExposed, useServices } from "./services-api.ts";
import { t } from "./text.ts";
import { TokenList } from "./token-list.tsx";

type Way = "services" | "people" | "tokens" | "cluster";

/** What has a name at the backbone, who may reach it, and by whose agents. */
export function ServicesPage() {
	const { data, error, isPending, dataUpdatedAt, errorUpdatedAt, refetch } = useServices();
	const isAway = data === undefined && errorUpdatedAt > 0;
	const exposed = useExposed(self).data ?? [];
	const machine = useMachineName(self);
	const [, navigate] = useLocation();
	const exposing = new URLSearchParams(useSearch()).has("expose");
	const [way, setWay] = useState<Way>("services");
	const expose = () => navigate(`${servicesPath(self)}?expose`);
	return (
		<div className="page">
			<header className="page-head">
				<div>
					<h1>{t.title}</h1>
					<p className="muted small">{t.lead}</p>
				</div>
				<ExposeButton machine={self} />
			</header>
			{error !== null && data === undefined && (
				<NotHere failure={error} title={t.elsewhere} path="/services" onRetry={() => void refetch()} />
			)}
			{isAway && (
				<section className="stack tight" aria-labelledby="exposed-title">
					<h2 id="exposed-title">{t.here(machine)}</h2>
					<ExposedPorts machine={self} />
				</section>
			)}
			{error !== null && data !== undefined && (
				<StaleNotice failure={error} at={dataUpdatedAt} onRetry={() => void refetch()} />
			)}
			{isPending && error === null && <Skeletons count={3} height={72} label={t.loading} />}
			{data !== undefined && (
				<>
					<div className="scroll-x">
						<Segments
							label={t.views}
							value={way}
							options={[
								["services", t.services],
								["people", t.people],
								["tokens", t.tokens],
								["cluster", t.cluster],
							]}
							onChange={setWay}
						/>
					</div>
					{way === "services" && (
						<ServiceTable services={data} exposed={exposed} stale={error !== null} onExpose={expose} />
					)}
					{way === "people" && <PrincipalList services={data} />}
					{way === "tokens" && <TokenList services={data} />}
					{way === "cluster" && <ClusterNodes />}
				</>
			)}
			{data !== undefined && (
				<ExposePort machine={self} open={exposing} onClose={() => navigate(servicesPath(self), { replace: true })} />
			)}
		</div>
	);
}

function ClusterNodes() {
	const { data, error, isPending, refetch } = useCluster();
	if (error !== null) return <ErrorNotice failure={error} onRetry={() => void refetch()} />;
	if (isPending) return <Skeletons count={1} height={72} label={t.loading} />;
	return (
		<ul className="card list">
			{data.nodes.map((node) => (
				<li key={node.node}>
					<span className="grow">
						<span className="mono">{node.node}</span>
						<span className="small muted block">{t.clusterSince(agoOf(node.started_at))}</span>
					</span>
					{node.self && <span className="tag live">{t.clusterSelf}</span>}
					<span className="small muted">{t.clusterAgents(node.agents.length)}</span>
				</li>
			))}
		</ul>
	);
}
