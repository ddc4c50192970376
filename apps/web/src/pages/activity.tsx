import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { RefreshCw } from "lucide-react";
import type { MachineId } from "../api/machine.ts";
import type { AuditRecord, Device } from "../api/types.ts";
import { api, useMachineName } from "../api/warren.tsx";
import { Empty, Skeletons } from "../ui/states.tsx";
import { agoOf, momentOf } from "../ui/time.ts";
import { MachineError } from "./machine-error.tsx";
import { t } from "./text/activity.ts";

const pageSize = 100;

/** A machine's audit log, by pages. */
export function ActivityPage({ machine }: { machine: MachineId }) {
	const name = useMachineName(machine);
	const devices = useQuery({
		queryKey: [machine, "devices"],
		queryFn: ({ signal }) => api.request<{ devices: Device[] }>(machine, "/api/devices", { signal }),
	}).data?.devices;
	/** A device by the name that people gave it; its identifier stays in the title. */
	const whoOf = (actor: string) => devices?.find((device) => actor === `device:${device.id}`)?.name ?? actor;
	const { data, error, isPending, hasNextPage, isFetchingNextPage, fetchNextPage, refetch, dataUpdatedAt } =
		useInfiniteQuery({
			queryKey: [machine, "audit"],
			queryFn: ({ pageParam, signal }) =>
				api.request<{ records: AuditRecord[] }>(
					machine,
					`/api/audit?limit=${pageSize}${pageParam === 0 ? "" : `&before=${pageParam}`}`,
					{ signal },
				),
			initialPageParam: 0,
			getNextPageParam: ({ records }) => (records.length < pageSize ? undefined : records.at(-1)?.id),
			staleTime: 0,
		});
	const records = data?.pages.flatMap((page) => page.records) ?? [];
	return (
		<div className="page">
			<header className="page-head">
				<div>
					<h1>{t.title}</h1>
					<p className="muted small">{t.lead(name)}</p>
				</div>
				<div className="actions">
					<button type="button" className="button" onClick={() => void refetch()}>
						<RefreshCw size={15} aria-hidden="true" /> {t.refresh}
					</button>
				</div>
			</header>
			{error !== null && (
				<MachineError machine={machine} failure={error} dataAt={dataUpdatedAt} onRetry={() => void refetch()} />
			)}
			{isPending && <Skeletons count={6} height={38} label={t.loading} />}
			{data !== undefined && records.length === 0 && <Empty>{t.empty}</Empty>}
			{records.length > 0 && (
				<div className="card activity">
					<table className="table">
						<thead>
							<tr>
								{Object.entries(t.columns).map(([key, label]) => (
									<th key={key} scope="col">
										{label}
									</th>
								))}
							</tr>
						</thead>
						<tbody>
							{records.map((record) => (
								<tr key={record.id}>
									<td className="cell-at" title={momentOf(record.at)}>
										{agoOf(record.at)}
									</td>
									<td className="cell-actor" title={record.actor}>
										{whoOf(record.actor)}
									</td>
									<td className="mono cell-action">{record.action}</td>
									<td className="mono cell-target">{record.target}</td>
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
