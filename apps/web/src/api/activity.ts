import { useInfiniteQuery } from "@tanstack/react-query";
import { ApiError } from "./exchange.ts";
import type { MachineId } from "./machine.ts";
import type { ActivityList, AuditRecord } from "./types.ts";
import { api } from "./warren.tsx";

export interface ActivityFilter {
	/** Empty = all. */
	readonly role: string;
	readonly actor: string;
}

export interface MachineRecord extends AuditRecord {
	readonly machine: MachineId;
}

const pageSize = 100;
/** What has no event of its own, the edge's roles, is looked at this often while the first page is shown. */
const liveMs = 5_000;

type Cursors = Readonly<Record<MachineId, string | null>>;
interface Page {
	readonly records: readonly MachineRecord[];
	/** By machine where more is to come; null where none is. */
	readonly next: Cursors;
	readonly silent: readonly { readonly machine: MachineId; readonly role: string; readonly message: string }[];
}

/** The audit of one machine or of several as one list, newest first, which follows as it grows. */
export function useActivity(machines: readonly MachineId[], filter: ActivityFilter) {
	return useInfiniteQuery({
		queryKey: [machines[0], "activity", machines, filter],
		queryFn: ({ pageParam, signal }) => readPage(pageParam, filter, signal),
		initialPageParam: Object.fromEntries(machines.map((machine) => [machine, ""])) as Cursors,
		getNextPageParam: ({ next }) => (Object.values(next).some((cursor) => cursor !== null) ? next : undefined),
		// Pages that one has gone back to stand still: below them everything would move.
		refetchInterval: ({ state }) => ((state.data?.pages.length ?? 1) === 1 ? liveMs : false),
		staleTime: 0,
	});
}

async function readPage(cursors: Cursors, filter: ActivityFilter, signal: AbortSignal): Promise<Page> {
	const asked = Object.entries(cursors).filter((pair): pair is [MachineId, string] => pair[1] !== null);
	const answers = await Promise.allSettled(asked.map(([machine, before]) => ask(machine, before, filter, signal)));
	const failure = answers.find((answer) => answer.status === "rejected");
	// Of one machine its failure is the page's; of several it misses, and is named.
	if (asked.length === 1 && failure !== undefined) throw failure.reason;
	const records: MachineRecord[] = [];
	const next: Record<MachineId, string | null> = {};
	const silent: Page["silent"][number][] = [];
	answers.forEach((answer, index) => {
		const [machine] = asked[index] as [MachineId, string];
		if (answer.status === "rejected") {
			next[machine] = null;
			silent.push({ machine, role: "", message: (answer.reason as Error).message });
			return;
		}
		next[machine] = answer.value.next;
		records.push(...answer.value.records.map((record) => ({ ...record, machine })));
		silent.push(...answer.value.silent.map((each) => ({ ...each, machine })));
	});
	return { records, next, silent };
}

async function ask(
	machine: MachineId,
	before: string,
	{ role, actor }: ActivityFilter,
	signal: AbortSignal,
): Promise<ActivityList> {
	const query = new URLSearchParams({ limit: String(pageSize) });
	for (const [name, value] of Object.entries({ before, role, actor })) if (value !== "") query.set(name, value);
	try {
		return await api.request<ActivityList>(machine, `/api/activity?${query}`, { signal });
	} catch (failure) {
		if (!(failure instanceof ApiError) || failure.status !== 404) throw failure;
		// A machine of an earlier version: its own log, and no filters.
		query.set("before", before.replace("own.", ""));
		if (before === "") query.delete("before");
		const { records } = await api.request<{ records: AuditRecord[] }>(machine, `/api/audit?${query}`, { signal });
		const last = records.at(-1);
		const next = records.length < pageSize || last === undefined ? null : `own.${last.id}`;
		return { records: records.map((record) => ({ ...record, role: "node", source: "own" })), next, silent: [] };
	}
}

/** Newest first, down to where every machine's records are known: below that some are still to be fetched. */
export function inOrder(pages: readonly Page[]): MachineRecord[] {
	const all = pages.flatMap(({ records }) => records).sort((a, b) => b.at - a.at || b.id - a.id);
	const open = Object.entries(pages.at(-1)?.next ?? {}).filter(([, cursor]) => cursor !== null);
	const oldest = open.map(([machine]) => all.findLast((record) => record.machine === machine)?.at ?? Infinity);
	const floor = Math.max(-Infinity, ...oldest);
	return all.filter((record) => record.at >= floor);
}
