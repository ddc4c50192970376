import { Plus, Power, Settings, Share2, Trash2 } from "lucide-react";
import { useState } from "react";
import { Link, useLocation } from "wouter";
import { self } from "../api/machine.ts";
import { Copyable } from "../ui/copyable.tsx";
import { DataTable } from "../ui/data-table.tsx";
import { Confirm } from "../ui/dialog.tsx";
import { Menu, MenuItem, MenuSeparator } from "../ui/menu.tsx";
import { Empty } from "../ui/states.tsx";
import { type MachineState, StatusDot } from "../ui/status-dot.tsx";
import { Addresses, stateOf } from "./exposed-facts.tsx";
import { type Exposed, hidePort, removeService, type Service } from "./services-api.ts";
import { t } from "./text.ts";

export function ServiceTable(props: {
	services: readonly Service[];
	exposed: readonly Exposed[];
	stale: boolean;
	onExpose: () => void;
}) {
	if (props.services.length === 0)
		return (
			<Empty
				icon={<Share2 size={28} aria-hidden="true" />}
				action={
					<button type="button" className="button" onClick={props.onExpose}>
						<Plus size={16} aria-hidden="true" /> {t.expose}
					</button>
				}
			>
				{t.empty}
			</Empty>
		);
	return (
		<DataTable columns={t.columns} stale={props.stale} className="stacking">
			{props.services.map((service) => (
				<ServiceRow
					key={service.service}
					service={service}
					here={props.exposed.find((each) => each.name === service.service)}
				/>
			))}
		</DataTable>
	);
}

const serviceHref = (name: string) => `/services/${encodeURIComponent(name)}`;

function ServiceRow({ service, here }: { service: Service; here: Exposed | undefined }) {
	const [, navigate] = useLocation();
	const [asking, setAsking] = useState<"off" | "remove">();
	const name = service.service;
	const links = service.agents.reduce((sum, agent) => sum + agent.links, 0);
	const health = healthOf(service, here);
	return (
		<tr>
			<td className="cell-first">
				<Link href={serviceHref(name)} className="machine-name">
					{name}
				</Link>
				{here === undefined ? <Copyable text={service.url} label={t.address} /> : <Addresses exposed={here} />}
				{service.domains.map((domain) => (
					<Copyable key={domain} text={domain} label={t.address} />
				))}
			</td>
			<td data-label={t.columns.health}>
				<StatusDot state={health.state}>{health.word}</StatusDot>
				{health.note !== null && <span className="small muted block">{health.note}</span>}
			</td>
			<td data-label={t.columns.who}>{service.settings.require_identity === true ? t.granted : t.everybody}</td>
			<td data-label={t.columns.agents}>
				{t.links(service.agents.length, links)}
				{here !== undefined && <span className="small muted block">{t.portHere(here.port)}</span>}
			</td>
			<td data-label={t.columns.traffic}>
				{service.requests}
				{service.errors + service.refused > 0 && (
					<span className="small muted block">{t.counts(service.errors, service.refused)}</span>
				)}
			</td>
			<td className="cell-actions">
				<Menu label={t.actions(name)}>
					<MenuItem icon={<Settings size={16} />} onSelect={() => navigate(serviceHref(name))}>
						{t.settings}
					</MenuItem>
					<MenuSeparator />
					{here !== undefined && (
						<MenuItem icon={<Power size={16} />} danger onSelect={() => setAsking("off")}>
							{t.off}
						</MenuItem>
					)}
					<MenuItem icon={<Trash2 size={16} />} danger onSelect={() => setAsking("remove")}>
						{t.remove}
					</MenuItem>
				</Menu>
				<Confirm
					open={asking === "off"}
					onClose={() => setAsking(undefined)}
					title={t.offTitle(name)}
					action={t.off}
					onConfirm={() => hidePort(self, name)}
				>
					{t.offBody(name)}
				</Confirm>
				<Confirm
					open={asking === "remove"}
					onClose={() => setAsking(undefined)}
					title={t.removeTitle(name)}
					action={t.remove}
					onConfirm={async () => {
						// One that this machine serves would come back with its agent.
						if (here !== undefined) await hidePort(self, name);
						await removeService(name);
					}}
				>
					{t.removeBody(name)}
				</Confirm>
			</td>
		</tr>
	);
}

/** In the same words wherever a service is shown. @param here the same service, where this machine serves it. */
export function healthOf(service: Service, here: Exposed | undefined): ServiceHealth {
	const ofAgents = healthOfAgents(service);
	// An agent may be well while nothing listens behind it: only the machine itself knows.
	return here === undefined || ofAgents.state !== "up" ? { ...ofAgents, note: here?.reason ?? null } : stateOf(here);
}

interface ServiceHealth {
	readonly state: MachineState;
	readonly word: string;
	readonly note: string | null;
}

function healthOfAgents({ connected, agents }: Service): { state: MachineState; word: string } {
	if (!connected || agents.length === 0) return { state: "down", word: t.noAgent };
	return agents.some((agent) => agent.healthy) ? { state: "up", word: t.online } : { state: "warn", word: t.troubled };
}
