import { BlockList, isIP } from "node:net";
import { type Clock, type Closeable, hashToken, newId, newSecret, type Random, RateLimit } from "@warren/kernel";
import type { Kysely } from "kysely";
import type { Changes } from "../changes.ts";
import { backboneError } from "../errors.ts";
import { formatServiceToken, isServiceName, parseServiceToken } from "../protocol/tokens.ts";
import type { BackboneTables } from "../schema.ts";
import { Throttle } from "./throttle.ts";

export type ServiceKind = "http" | "h2" | "tcp" | "udp";

/** What an administrator may set of a service. */
export interface ServiceSettings {
	/** Anonymous requests are answered 401. */
	readonly requireIdentity?: boolean;
	/** CIDRs; with any, only these may come. */
	readonly allow?: readonly string[];
	readonly deny?: readonly string[];
	readonly requestsPerSecond?: number;
	readonly bytesPerSecond?: number;
	readonly maxBodyBytes?: number;
	/** The request inspector records, redacted. */
	readonly inspect?: boolean;
}

export interface ServiceRow {
	readonly name: string;
	readonly kind: ServiceKind;
	readonly port: number | null;
	readonly settings: ServiceSettings;
	readonly domains: readonly string[];
	readonly created_at: number;
}

/** A service as the data path uses it; made anew when anything of it changes. */
export interface ActiveService extends ServiceRow {
	readonly requests: RateLimit | null;
	readonly throttle: Throttle | null;
	admits(address: string): boolean;
}

export interface ServiceToken {
	readonly id: string;
	readonly service: string;
	readonly created_at: number;
	readonly last_used_at: number | null;
}

const maxServices = 10_000;
/** `last_used_at` is written at most this often. */
const touchMs = 60_000;

/** What is left out stays; null takes a limit away. */
export type SettingsChange = { readonly [Name in keyof ServiceSettings]: ServiceSettings[Name] | null };

/** What is left out stays; a port of null is given back. */
export interface ServiceChange {
	readonly settings?: SettingsChange;
	readonly port?: number | null;
	readonly domains?: readonly string[];
}

/** Services, their tokens and names. All of them stand in memory: a request's Host is looked up in a map. */
export class Services implements Closeable {
	readonly #db: Kysely<BackboneTables>;
	readonly #clock: Clock;
	readonly #random: Random;
	readonly #changes: Changes;
	readonly #byName = new Map<string, ActiveService>();
	readonly #byDomain = new Map<string, ActiveService>();
	readonly #touched = new Map<string, number>();
	readonly #watchers = new Set<(name: string) => void>();
	/** As it was read last: what has not changed keeps its limits' state. */
	readonly #rows = new Map<string, string>();
	readonly #late: (fault: unknown) => void;
	#news: Closeable | undefined;
	#loading: Promise<void> = Promise.resolve();
	/** Tokens and services that went: whoever was let in meanwhile may have come with one of them. */
	#gone = 0;

	private constructor(
		db: Kysely<BackboneTables>,
		clock: Clock,
		random: Random,
		changes: Changes,
		late: (fault: unknown) => void,
	) {
		this.#late = late;
		this.#db = db;
		this.#clock = clock;
		this.#random = random;
		this.#changes = changes;
	}

	/** @param late hears of a change that could not be read: `reload` finds it later. */
	static async open(
		db: Kysely<BackboneTables>,
		clock: Clock,
		random: Random,
		changes: Changes,
		late: (fault: unknown) => void = () => {},
	): Promise<Services> {
		const services = new Services(db, clock, random, changes, late);
		for (const { name } of await db.selectFrom("backbone_services").select("name").execute())
			await services.#load(name);
		services.#news = changes.hear((change) => {
			if (change.of === "token") services.#gone += 1;
			else if (change.of === "service") services.#load(change.name).catch(services.#late);
		});
		return services;
	}

	/** What other nodes changed while no news of it came. @throws WarrenError `store_away`. */
	async reload(): Promise<void> {
		const stand = await this.#db.selectFrom("backbone_services").select("name").execute();
		const names = new Set([...this.#byName.keys(), ...stand.map(({ name }) => name)]);
		for (const name of names) await this.#load(name);
	}

	close(): void {
		void this.#news?.close();
	}

	/** Grows with each token or service that goes: what was authenticated before holds while it stays the same. */
	get goneCount(): number {
		return this.#gone;
	}

	get(name: string): ActiveService | null {
		return this.#byName.get(name) ?? null;
	}

	/** @param host canonical. */
	byDomain(host: string): ActiveService | null {
		return this.#byDomain.get(host) ?? null;
	}

	list(): ActiveService[] {
		return [...this.#byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
	}

	/** Called with the name of a service that came, changed or went. */
	watch(watcher: (name: string) => void): Closeable {
		this.#watchers.add(watcher);
		return { close: () => void this.#watchers.delete(watcher) };
	}

	/** A token for a service, which is made when it is not there. The token is shown once. @throws WarrenError `bad_request`, `conflict`. */
	async createToken(
		service: string,
		options: { kind?: ServiceKind; settings?: SettingsChange; by: string },
	): Promise<{ token: string; row: ServiceToken }> {
		if (!isServiceName(service))
			throw backboneError("bad_request", `"${service.slice(0, 80)}" cannot name a service.`, {
				fix: "Use a DNS label: a-z, 0-9 and -, at most 63; `pr` is taken.",
			});
		const settings = changedSettings({}, options.settings ?? {});
		const kind = options.kind ?? this.get(service)?.kind ?? "http";
		if (!this.#byName.has(service) && this.#byName.size >= maxServices)
			throw backboneError("full", `There are ${maxServices} services already.`);
		await this.#db
			.insertInto("backbone_services")
			.values({ name: service, kind, port: null, settings: JSON.stringify(settings), created_at: this.#clock.now() })
			.onConflict((conflict) => conflict.doNothing())
			.execute();
		const standing = await this.#db
			.selectFrom("backbone_services")
			.select("kind")
			.where("name", "=", service)
			.executeTakeFirst();
		if (standing !== undefined && standing.kind !== kind)
			throw backboneError("conflict", `"${service}" is a service of kind ${standing.kind}, not ${kind}.`);
		const token = formatServiceToken(service, newSecret(this.#random));
		const row = { id: newId(this.#random), service, created_at: this.#clock.now(), last_used_at: null };
		await this.#db
			.insertInto("backbone_tokens")
			.values({ ...row, token_hash: hashToken(token), created_by: options.by })
			.execute();
		await this.#load(service);
		if (this.get(service) === null) {
			// Taken away meanwhile: a later service of this name has tokens of its own.
			await this.#db.deleteFrom("backbone_tokens").where("id", "=", row.id).execute();
			throw unknownService(service);
		}
		this.#changes.tell({ of: "service", name: service });
		return { token, row };
	}

	async tokens(): Promise<ServiceToken[]> {
		const rows = await this.#db
			.selectFrom("backbone_tokens")
			.select(["id", "service", "created_at", "last_used_at"])
			.orderBy("created_at")
			.execute();
		return rows.map((row) => ({
			...row,
			created_at: Number(row.created_at),
			last_used_at: row.last_used_at === null ? null : Number(row.last_used_at),
		}));
	}

	/** @throws WarrenError `unknown_token`. */
	async revokeToken(id: string): Promise<ServiceToken> {
		const row = (await this.tokens()).find((each) => each.id === id);
		if (row === undefined) throw backboneError("unknown_token", `There is no service token "${id.slice(0, 60)}".`);
		await this.#db.deleteFrom("backbone_tokens").where("id", "=", id).execute();
		this.#changes.tell({ of: "token", id });
		return row;
	}

	/** @returns the token's id and service, or null: malformed, unknown and revoked are all the same to whoever tries. */
	async authenticate(token: string): Promise<{ tokenId: string; service: ActiveService } | null> {
		const parsed = parseServiceToken(token);
		if (parsed === null) return null;
		const row = await this.#db
			.selectFrom("backbone_tokens")
			.select(["id", "service"])
			// By digest: how much of a guess was right does not show.
			.where("token_hash", "=", hashToken(token))
			.executeTakeFirst();
		const service = row === undefined ? null : this.get(row.service);
		if (row === undefined || service === null || row.service !== parsed.service) return null;
		const now = this.#clock.now();
		if (now - (this.#touched.get(row.id) ?? 0) > touchMs) {
			this.#touched.set(row.id, now);
			await this.#db.updateTable("backbone_tokens").set({ last_used_at: now }).where("id", "=", row.id).execute();
		}
		return { tokenId: row.id, service };
	}

	/**
	 * All of the change, or none of it.
	 * @param checkPort of a port that no other service has; it throws when it cannot be had here.
	 * @throws WarrenError `unknown_service`, `conflict`, `bad_request`; what `checkPort` throws.
	 */
	async update(
		name: string,
		change: ServiceChange,
		checkPort: (service: ActiveService, port: number) => Promise<void>,
	): Promise<ActiveService> {
		const { settings, port, domains } = change;
		const before = this.get(name);
		if (before === null) throw unknownService(name);
		changedSettings({}, settings ?? {});
		await refuseTaken(this.#db, name, change);
		if (port !== undefined && port !== null) await checkPort(before, port);
		const written = this.#db.transaction().execute(async (db) => {
			if (settings !== undefined) await changeSettings(db, name, settings);
			if (port !== undefined)
				await db.updateTable("backbone_services").set({ port }).where("name", "=", name).execute();
			if (domains === undefined) return;
			await db.deleteFrom("backbone_domains").where("service", "=", name).execute();
			for (const host of new Set(domains))
				await db
					.insertInto("backbone_domains")
					.values({ host, service: name, created_at: this.#clock.now() })
					.execute();
		});
		await written.catch(async (fault: unknown) => {
			// Another one may have been faster.
			await refuseTaken(this.#db, name, change);
			throw fault;
		});
		await this.#load(name);
		this.#changes.tell({ of: "service", name });
		return this.get(name) as ActiveService;
	}

	/** Gives a service its port unless it has one: of several nodes that choose, the first one's counts. */
	async allot(name: string, port: number): Promise<void> {
		await this.#db
			.updateTable("backbone_services")
			.set({ port })
			.where("name", "=", name)
			.where("port", "is", null)
			.execute();
		await this.#load(name);
		this.#changes.tell({ of: "service", name });
	}

	/** Takes a service away, with its tokens and grants. @throws WarrenError `unknown_service`. */
	async remove(name: string): Promise<void> {
		if (this.get(name) === null) throw unknownService(name);
		await this.#db.transaction().execute(async (db) => {
			await db.deleteFrom("backbone_domains").where("service", "=", name).execute();
			await db.deleteFrom("backbone_services").where("name", "=", name).execute();
			await deleteRights(db, name);
		});
		// Those that were made meanwhile would open a later service of this name.
		await deleteRights(this.#db, name);
		await this.#load(name);
		this.#changes.tell({ of: "service", name });
	}

	/** One after the other: what was read first must not stand last. */
	#load(name: string): Promise<void> {
		const loaded = this.#loading.then(() => this.#read(name));
		this.#loading = loaded.catch(() => {});
		return loaded;
	}

	async #read(name: string): Promise<void> {
		const row = await this.#db.selectFrom("backbone_services").selectAll().where("name", "=", name).executeTakeFirst();
		const domains = await this.#db
			.selectFrom("backbone_domains")
			.select("host")
			.where("service", "=", name)
			.orderBy("host")
			.execute();
		const read = row === undefined ? "" : JSON.stringify([row, domains]);
		if (this.#rows.get(name) === read) return;
		for (const host of this.#byName.get(name)?.domains ?? []) this.#byDomain.delete(host);
		if (row === undefined) {
			this.#rows.delete(name);
			this.#byName.delete(name);
			this.#gone += 1;
		} else {
			const active = activeService(
				{
					name,
					kind: row.kind as ServiceKind,
					port: row.port,
					settings: JSON.parse(row.settings) as ServiceSettings,
					domains: domains.map(({ host }) => host),
					created_at: Number(row.created_at),
				},
				this.#clock,
			);
			this.#rows.set(name, read);
			this.#byName.set(name, active);
			for (const host of active.domains) this.#byDomain.set(host, active);
		}
		for (const watcher of this.#watchers) watcher(name);
	}
}

function activeService(row: ServiceRow, clock: Clock): ActiveService {
	const { allow = [], deny = [], requestsPerSecond, bytesPerSecond } = row.settings;
	const allowed = allow.length === 0 ? null : blockList(allow);
	const denied = deny.length === 0 ? null : blockList(deny);
	return {
		...row,
		requests:
			requestsPerSecond === undefined
				? null
				: new RateLimit(clock, {
						perSecond: requestsPerSecond,
						burst: Math.max(1, requestsPerSecond),
						maxKeys: 1,
					}),
		throttle: bytesPerSecond === undefined ? null : new Throttle(bytesPerSecond),
		admits(address) {
			if (allowed === null && denied === null) return true;
			const family = isIP(address) === 6 ? "ipv6" : "ipv4";
			if (denied?.check(address, family) === true) return false;
			return allowed === null || allowed.check(address, family);
		},
	};
}

function blockList(ranges: readonly string[]): BlockList {
	const list = new BlockList();
	for (const range of ranges) {
		const [address = "", bits] = range.split("/");
		const family = isIP(address);
		if (family === 0 || (bits !== undefined && !(/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 6 ? 128 : 32))))
			throw backboneError("bad_request", `"${range.slice(0, 60)}" is neither an address nor a CIDR range.`);
		if (bits === undefined) list.addAddress(address, family === 6 ? "ipv6" : "ipv4");
		else list.addSubnet(address, Number(bits), family === 6 ? "ipv6" : "ipv4");
	}
	return list;
}

/** Tokens and grants of a name that no service has. */
async function deleteRights(db: Kysely<BackboneTables>, name: string): Promise<void> {
	for (const table of ["backbone_tokens", "backbone_grants"] as const)
		await db
			.deleteFrom(table)
			.where("service", "=", name)
			.where("service", "not in", (rows) => rows.selectFrom("backbone_services").select("name"))
			.execute();
}

/** @throws WarrenError `conflict` when another service has the port, or one of the names. */
async function refuseTaken(
	db: Kysely<BackboneTables>,
	name: string,
	{ port, domains }: Pick<ServiceChange, "port" | "domains">,
): Promise<void> {
	const named =
		domains === undefined || domains.length === 0
			? undefined
			: await db
					.selectFrom("backbone_domains")
					.select(["host", "service"])
					.where("host", "in", domains)
					.where("service", "!=", name)
					.executeTakeFirst();
	if (named !== undefined) throw backboneError("conflict", `${named.host} is a name of "${named.service}".`);
	if (port === undefined || port === null) return;
	const holder = await db
		.selectFrom("backbone_services")
		.select("name")
		.where("port", "=", port)
		.where("name", "!=", name)
		.executeTakeFirst();
	if (holder !== undefined) throw backboneError("conflict", `Port ${port} is the port of "${holder.name}".`);
}

/** What stands now is changed, whatever another change made of it meanwhile. @throws WarrenError `unknown_service`, `conflict`. */
async function changeSettings(db: Kysely<BackboneTables>, name: string, change: SettingsChange): Promise<void> {
	const row = await db.selectFrom("backbone_services").select("settings").where("name", "=", name).executeTakeFirst();
	if (row === undefined) throw unknownService(name);
	const done = await db
		.updateTable("backbone_services")
		.set({ settings: JSON.stringify(changedSettings(JSON.parse(row.settings) as ServiceSettings, change)) })
		.where("name", "=", name)
		.where("settings", "=", row.settings)
		.executeTakeFirst();
	if (Number(done.numUpdatedRows) !== 1)
		throw backboneError("conflict", `"${name}" was changed at another node just now.`, { fix: "Try again." });
}

/** @throws WarrenError `bad_request` for a range that is none. */
function changedSettings(before: ServiceSettings, change: SettingsChange): ServiceSettings {
	blockList([...(change.allow ?? []), ...(change.deny ?? [])]);
	return Object.fromEntries(Object.entries({ ...before, ...change }).filter(([, value]) => value !== null));
}

function unknownService(name: string) {
	return backboneError("unknown_service", `There is no service "${name.slice(0, 63)}".`);
}
