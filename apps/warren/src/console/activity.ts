import { type Audit, type AuditQuery, type AuditRecord, messageOf, WarrenError } from "@warren/kernel";
import { httpError } from "@warren/net";
import { askBackbone } from "../backbone/backbone-console.ts";
import type { EdgeDoors, EdgeRole } from "./edge-doors.ts";

/** One log of this machine: what the private process wrote, or one role of the edge. */
interface Source {
	readonly name: string;
	list(query: AuditQuery): Promise<readonly AuditRecord[]>;
}

interface ActivityQuery {
	readonly limit: number;
	/** `next` of the page before. */
	readonly before?: string | undefined;
	readonly role?: string | undefined;
	readonly actor?: string | undefined;
}

/** The ways to the edge's logs. */
export type ActivityDoors = Pick<EdgeDoors, "roles" | "askCoordinator" | "askBackbone" | "askGateway">;

/** By source: records below this number are still to come. */
type Cursor = Readonly<Record<string, number>>;

/** What of the edge's roles could not be asked; the rest of the page stands. */
interface SilentSource {
	readonly role: string;
	readonly message: string;
}

interface ActivityPage {
	/** Newest first. Their numbers are unique within a source. */
	readonly records: readonly (AuditRecord & { readonly source: string })[];
	/** Null at the end. */
	readonly next: string | null;
	readonly silent: readonly SilentSource[];
}

const edgeRoles: readonly string[] = ["coordinator", "backbone", "gateway"];

/**
 * What all roles of this machine wrote down, as one list: a page of each log, merged by time, with a cursor a log. The
 * edge's roles are asked through their doors; one that is down is named, and misses.
 */
export async function readActivity(own: Audit, doors: ActivityDoors, query: ActivityQuery): Promise<ActivityPage> {
	const { limit, role, actor } = query;
	const cursor = query.before === undefined ? {} : parseCursor(query.before);
	const silent: SilentSource[] = [];
	const pages = await Promise.all(
		sourcesFor(own, doors, role).map(async (source) => {
			const before = cursor[source.name];
			const asked = {
				limit,
				...(before === undefined ? {} : { before }),
				...(actor === undefined ? {} : { actor }),
			};
			try {
				return (await source.list(asked)).map((record) => ({ ...record, source: source.name }));
			} catch (fault) {
				silent.push({ role: source.name, message: messageOf(fault as WarrenError) });
				return [];
			}
		}),
	);
	const all = pages.flat().sort((a, b) => b.at - a.at || b.id - a.id);
	const records = all.slice(0, limit);
	const hasMore = all.length > limit || pages.some((page) => page.length === limit);
	return { records, next: hasMore ? encodeCursor(cursor, records) : null, silent };
}

function sourcesFor(own: Audit, doors: ActivityDoors, role: string | undefined): Source[] {
	const edge = doors.roles.map((name) => ({ name, list: (query: AuditQuery) => askEdge(doors, name, query) }));
	if (role !== undefined && edgeRoles.includes(role)) return edge.filter(({ name }) => name === role);
	const mine: Source = {
		name: "own",
		list: (query) => own.list({ ...query, ...(role === undefined ? {} : { role }) }),
	};
	return role === undefined ? [mine, ...edge] : [mine];
}

async function askEdge(doors: ActivityDoors, role: EdgeRole, query: AuditQuery): Promise<readonly AuditRecord[]> {
	const words = new URLSearchParams(Object.entries(query).map(([name, value]) => [name, String(value)]));
	type Answer = { readonly records: readonly AuditRecord[] };
	const path = `/admin/api/audit?${words}`;
	const { records } = await (role === "coordinator"
		? doors.askCoordinator((client) => client.call<Answer>("GET", `/v1/audit?${words}`))
		: role === "backbone"
			? doors.askBackbone((address) => askBackbone<Answer>(address, "GET", path))
			: doors.askGateway((address) => askBackbone<Answer>(address, "GET", path)));
	return records;
}

/** Each source goes on below the last record of it that was shown; one that had none stays where it was. */
function encodeCursor(before: Cursor, shown: ActivityPage["records"]): string {
	const next: Record<string, number> = { ...before };
	for (const { source, id } of shown) next[source] = Math.min(id, next[source] ?? id);
	return Object.entries(next)
		.map(([source, id]) => `${source}.${id}`)
		.join("_");
}

/** @throws WarrenError `bad_request`. */
function parseCursor(text: string): Cursor {
	const pairs = text.split("_").map((each) => /^(own|coordinator|backbone|gateway)\.(\d{1,15})$/.exec(each));
	if (pairs.some((pair) => pair === null))
		throw httpError("bad_request", `before was "${text.slice(0, 80)}"; it must be what "next" of a page before said.`);
	return Object.fromEntries(pairs.map((pair) => [pair?.[1], Number(pair?.[2])]));
}
