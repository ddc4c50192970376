import "./services.css";
import { ArrowLeft, Pencil, Plus, Power, Share2 } from "lucide-react";
import { useState } from "react";
import { Link, useLocation, useSearch } from "wouter";
import { type MachineId, self, servicesPath } from "../api/machine.ts";
import { useMachineName } from "../api/warren.tsx";
import { MachineError } from "../pages/machine-error.tsx";
import { DataTable } from "../ui/data-table.tsx";
import { Confirm } from "../ui/dialog.tsx";
import { Menu, MenuItem, MenuSeparator } from "../ui/menu.tsx";
import { Empty, Skeletons } from "../ui/states.tsx";
import { StatusDot } from "../ui/status-dot.tsx";
import { ExposePort } from "./expose-port.tsx";
import { Addresses, stateOf } from "./exposed-facts.tsx";
import { type Exposed, hidePort, useExposed } from "./services-api.ts";
import { t } from "./text.ts";

/** What `warren expose` shows on a machine, as a page: of any machine that this one reaches. */
export function ExposedPage({ machine }: { machine: MachineId }) {
	const name = useMachineName(machine);
	return (
		<div className="page">
			<header className="page-head">
				<div>
					{machine !== self && (
						<Link className="link row small back" href={servicesPath(self)}>
							<ArrowLeft size={15} aria-hidden="true" /> {t.back}
						</Link>
					)}
					<h1>{t.titleOf(name)}</h1>
					<p className="muted small">{t.leadOf(name)}</p>
				</div>
				<ExposeButton machine={machine} />
			</header>
			<ExposedPorts machine={machine} />
		</div>
	);
}

export function ExposeButton({ machine }: { machine: MachineId }) {
	const [, navigate] = useLocation();
	return (
		<div className="actions">
			<button type="button" className="button primary" onClick={() => navigate(`${servicesPath(machine)}?expose`)}>
				<Plus size={16} aria-hidden="true" /> {t.expose}
			</button>
		</div>
	);
}

/** The ports of one machine that have names, with the sheet that gives one: `?expose`, or `?expose=NAME` to change it. */
export function ExposedPorts({ machine }: { machine: MachineId }) {
	const { data, error, isPending, dataUpdatedAt, refetch } = useExposed(machine);
	const [, navigate] = useLocation();
	const name = useMachineName(machine);
	const here = servicesPath(machine);
	const exposing = new URLSearchParams(useSearch()).get("expose");
	return (
		<>
			{error !== null && (
				<MachineError machine={machine} failure={error} dataAt={dataUpdatedAt} onRetry={() => void refetch()} />
			)}
			{isPending && error === null && <Skeletons count={2} height={72} label={t.loading} />}
			{data?.length === 0 && (
				<Empty
					icon={<Share2 size={28} aria-hidden="true" />}
					action={
						<button type="button" className="button" onClick={() => navigate(`${here}?expose`)}>
							<Plus size={16} aria-hidden="true" /> {t.expose}
						</button>
					}
				>
					{t.emptyOf(name)}
				</Empty>
			)}
			{data !== undefined && data.length > 0 && (
				<DataTable columns={t.ownColumns} stale={error !== null} className="stacking">
					{data.map((exposed) => (
						<ExposedRow key={exposed.name} machine={machine} exposed={exposed} />
					))}
				</DataTable>
			)}
			<ExposePort
				machine={machine}
				open={exposing !== null}
				standing={data?.find((each) => each.name === exposing)}
				onClose={() => navigate(here, { replace: true })}
			/>
		</>
	);
}

function ExposedRow({ machine, exposed }: { machine: MachineId; exposed: Exposed }) {
	const [, navigate] = useLocation();
	const [hiding, setHiding] = useState(false);
	const { name } = exposed;
	const state = stateOf(exposed);
	return (
		<tr>
			<td className="cell-first">
				<span className="machine-name">{name}</span>
				<Addresses exposed={exposed} />
			</td>
			<td data-label={t.ownColumns.health}>
				<StatusDot state={state.state}>{state.word}</StatusDot>
				{state.note !== null && <span className="small muted block">{state.note}</span>}
			</td>
			<td data-label={t.ownColumns.who}>{exposed.public ? t.everybody : t.granted}</td>
			<td data-label={t.ownColumns.port}>
				{exposed.port}
				<span className="small muted block">{t.kinds[exposed.kind]}</span>
			</td>
			<td className="cell-actions">
				<Menu label={t.actions(name)}>
					<MenuItem
						icon={<Pencil size={16} />}
						onSelect={() => navigate(`${servicesPath(machine)}?expose=${encodeURIComponent(name)}`)}
					>
						{t.change}
					</MenuItem>
					<MenuSeparator />
					<MenuItem icon={<Power size={16} />} danger onSelect={() => setHiding(true)}>
						{t.off}
					</MenuItem>
				</Menu>
				<Confirm
					open={hiding}
					onClose={() => setHiding(false)}
					title={t.offTitle(name)}
					action={t.off}
					onConfirm={() => hidePort(machine, name)}
				>
					{t.offBody(name)}
				</Confirm>
			</td>
		</tr>
	);
}
