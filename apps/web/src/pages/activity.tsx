import { RefreshCw } from "lucide-react";
import { useRef } from "react";
import { Link, useSearch } from "wouter";
import { inOrder, type MachineRecord, useActivity } from "../api/activity.ts";
import { actorName, targetName } from "../api/actor-name.ts";
import { useNames } from "../api/actor-names.ts";
import { activityPath, type MachineId, self } from "../api/machine.ts";
import { credentials, useMachineName, usePeers } from "../api/warren.tsx";
import { Empty, Skeletons } from "../ui/states.tsx";
import { agoOf, momentOf } from "../ui/time.ts";
import { ActivityFilters } from "./activity-filters.tsx";
import { MachineError } from "./machine-error.tsx";
import { t } from "./text/activity.ts";

/** Of a warren with more the nearest ones are asked; each has its own page. */
const maxMachines = 16;

/** What the roles of a machine, or of all machines, wrote down. */
export function ActivityPage({ machine }: { machine: MachineId }) {
	const name = useMachineName(machine);
	const search = new URLSearchParams(useSearch());
	const filter = { role: search.get("role") ?? "", actor: search.get("actor") ?? "" };
	const all = machine === self && search.get("machines") === "all";
	const peers = usePeers().data?.peers ?? [];
	const known = peers.filter(({ id, reachable }) => reachable && credentials.get(id) !== undefined);
	const machines = all ? [self, ...known.map(({ id }) => id)].slice(0, maxMachines) : [machine];
	const activity = useActivity(machines, filter);
	const { data, error, isPending, hasNextPage, isFetchingNextPage, fetchNextPage, refetch, dataUpdatedAt } = activity;
	const names = useNames(machines);
	const nameOf = (actor: string) => actorName(actor, names);
	const records = inOrder(data?.pages ?? []);
	const people = useSeen(records, filter.actor, nameOf);
	const silent = data?.pages[0]?.silent ?? [];
	const machineName = (id: MachineId) => peers.find((peer) => peer.id === id)?.name ?? name;
	const columns = Object.entries(t.columns).filter(([key]) => all || key !== "machine");
	return (
		<div className="page">
			<header className="page-head">
				<div>
					<h1>{t.title}</h1>
					<p className="muted small">{all ? t.leadAll : t.lead(name)}</p>
				</div>
				<div className="actions">
					<button type="button" className="button" onClick={() => void refetch()}>
						<RefreshCw size={15} aria-hidden="true" /> {t.refresh}
					</button>
				</div>
			</header>
			<ActivityFilters machine={machine} all={all} filter={filter} people={people} />
			{error !== null && (
				<MachineError machine={machine} failure={error} dataAt={dataUpdatedAt} onRetry={() => void refetch()} />
			)}
			{silent.map((each) => (
				<p key={`${each.machine} ${each.role}`} className="muted small" role="status">
					{t.silent(each.role === "" ? machineName(each.machine) : roleName(each.role), each.message)}
				</p>
			))}
			{isPending && <Skeletons count={6} height={38} label={t.loading} />}
			{data !== undefined &&
				records.length === 0 &&
				(filter.role === "" && filter.actor === "" ? (
					<Empty>{t.empty}</Empty>
				) : (
					<Empty
						action={
							<Link className="button" href={activityPath(machine)}>
								{t.all}
							</Link>
						}
					>
						{t.nothing}
					</Empty>
				))}
			{records.length > 0 && (
				<div className="card activity">
					<table className="table">
						<thead>
							<tr>
								{columns.map(([key, label]) => (
									<th key={key} scope="col">
										{label}
									</th>
								))}
							</tr>
						</thead>
						<tbody>
							{records.map((record) => (
								<tr key={`${record.machine} ${record.source} ${record.id}`}>
									<td className="cell-at" title={momentOf(record.at)}>
										{agoOf(record.at)}
									</td>
									{all && <td className="cell-machine">{machineName(record.machine)}</td>}
									<td className="cell-role">{roleName(record.role)}</td>
									<td className="cell-actor" title={record.actor}>
										{nameOf(record.actor)}
									</td>
									<td className="mono cell-action">{record.action}</td>
									<td className="mono cell-target" title={record.target}>
										{targetName(record.target, names)}
									</td>
									<td className="cell-outcome">
										<span
											className={
												record.outcome === "ok" ? "tag" : record.outcome === "refused" ? "tag warn" : "tag danger"
											}
										>
											{t.outcomes[record.outcome] ?? record.outcome}
										</span>
									</td>
									<td className="mono cell-address">{record.address}</td>
								</tr>
							))}
						</tbody>
					</table>
				</div>
			)}
			{hasNextPage && (
				<button type="button" className="button" disabled={isFetchingNextPage} onClick={() => void fetchNextPage()}>
					{t.older}
				</button>
			)}
		</div>
	);
}

const roleName = (role: string) => (t.roles as Readonly<Record<string, string>>)[role] ?? role;

/** Whoever was in the list since the page opened: a choice must not take the others away. */
function useSeen(records: readonly MachineRecord[], chosen: string, nameOf: (actor: string) => string) {
	const seen = useRef(new Set<string>());
	for (const { actor } of records) seen.current.add(actor);
	if (chosen !== "") seen.current.add(chosen);
	return [...seen.current].map((actor) => ({ actor, name: nameOf(actor) })).sort((a, b) => (a.name < b.name ? -1 : 1));
}
