import { isIP } from "node:net";
import {
	type Authenticator,
	type Clock,
	type Closeable,
	hashToken,
	type NodeId,
	newId,
	newSecret,
	type PeerCandidate,
	type PeerSource,
	type Random,
	type Timer,
} from "@warren/kernel";
import { canonicalHost } from "@warren/net";
import { type Bus, engineOf } from "@warren/store";
import { type Kysely, sql } from "kysely";
import { accountsError } from "../errors.ts";
import type { RevokedFeed } from "../revoked-feed.ts";
import type { AccountsTables } from "../schema.ts";
import { JoinCodes } from "./join-codes.ts";

export const nodeTokenPrefix = "wn_";

export const machineLimits = {
	maxMachines: 1000,
	maxHosts: 32,
	/** How often a machine says that it lives; thrice missed is away. */
	heartbeatMs: 30_000,
	onlineMs: 90_000,
} as const;

export interface Machine {
	readonly nodeId: string;
	readonly name: string;
	/** Names and addresses, best first. */
	readonly hosts: readonly string[];
	readonly port: number;
	readonly version: string;
	/** Whose machine it is; empty = the hub's owner's. */
	readonly ownerId: string;
	readonly joinedAt: number;
	readonly lastSeenAt: number;
	readonly online: boolean;
	/** The machine that the hub itself runs on. */
	readonly hub: boolean;
}

/** What a machine says about itself. */
export interface MachineFacts {
	readonly name: string;
	readonly hosts: readonly string[];
	readonly port: number;
	readonly version: string;
}

export type MachineChange =
	| { readonly type: "machine"; readonly machine: Machine }
	| { readonly type: "machine-removed"; readonly nodeId: string };

const changedSubject = "accounts.machines";

type Row = AccountsTables["accounts_machines"];

interface OwnHosts {
	readonly hosts: readonly string[];
	readonly certified: readonly string[];
}

/** The machines of this warren: who joined, where each is reached, when it was last heard. */
export class Machines implements Authenticator, PeerSource, Closeable {
	readonly kinds = ["node"] as const;
	/** As a source of peers. */
	readonly name = "hub";
	readonly joinCodes: JoinCodes;
	readonly #db: Kysely<AccountsTables>;
	readonly #clock: Clock;
	readonly #random: Random;
	readonly #revoked: RevokedFeed;
	readonly #watchers = new Set<(change: MachineChange) => void>();
	readonly #bus: Bus | undefined;
	readonly #subscription: Closeable | undefined;
	readonly #hubProcess: string;
	/** Who was online when it was last told; kept up while somebody watches. */
	readonly #online = new Map<string, boolean>();
	#sweep: Timer | undefined;

	/** @param bus where several hubs share the tables: what one hears, all tell. */
	constructor(db: Kysely<AccountsTables>, clock: Clock, random: Random, revoked: RevokedFeed, bus: Bus | undefined) {
		this.joinCodes = new JoinCodes(db, clock, random);
		this.#db = db;
		this.#clock = clock;
		this.#random = random;
		this.#revoked = revoked;
		this.#bus = bus;
		this.#hubProcess = newId(random);
		this.#subscription = bus?.subscribe(changedSubject, ({ data }) => {
			const [from = "", nodeId = ""] = Buffer.from(data).toString().split(" ");
			if (from !== this.#hubProcess) void this.#retell(nodeId);
		});
	}

	close(): void {
		this.#sweep?.cancel();
		this.#watchers.clear();
		void this.#subscription?.close();
	}

	/**
	 * Uses the code up and takes the machine in. `issue` runs between the two: when it refuses, the code lives on.
	 * @throws WarrenError `bad_code`, `machine_exists`, `bad_name`, `too_many`, and what `issue` throws.
	 */
	async join<T>(
		secret: string,
		facts: MachineFacts & { readonly nodeId: string | null },
		issue: (hosts: readonly string[], nodeId: string) => Promise<T>,
	): Promise<{ readonly machine: Machine; readonly nodeToken: string; readonly issued: T }> {
		return this.joinCodes.use(secret, async (ownerId) => {
			const now = this.#clock.now();
			const nodeId = facts.nodeId ?? newId(this.#random);
			const nodeToken = `${nodeTokenPrefix}${newSecret(this.#random)}`;
			const issued = await this.#alone(async (db) => {
				await checkRoom(db, nodeId);
				const { hosts, certified } = await ownHosts(db, facts.hosts, nodeId);
				const leaf = await issue(certified, nodeId);
				await put(db, {
					node_id: nodeId,
					name: facts.name,
					hosts: JSON.stringify(hosts),
					certified: JSON.stringify(certified),
					port: facts.port,
					version: facts.version,
					owner_id: ownerId,
					token_hash: hashToken(nodeToken),
					joined_at: now,
					last_seen_at: now,
					removed_at: null,
				});
				return leaf;
			});
			return { machine: await this.#told(nodeId), nodeToken, issued };
		});
	}

	/** The machine that the hub runs on, as it is now. */
	async registerHub(nodeId: string, facts: MachineFacts): Promise<Machine> {
		const now = this.#clock.now();
		const before = await this.#row(nodeId);
		// It has the CA itself: nobody was there before it.
		const hosts = JSON.stringify(facts.hosts.map(canonicalHost).slice(0, machineLimits.maxHosts));
		await put(this.#db, {
			node_id: nodeId,
			name: facts.name,
			hosts,
			certified: hosts,
			port: facts.port,
			version: facts.version,
			owner_id: before?.owner_id ?? "",
			token_hash: null,
			joined_at: Number(before?.joined_at ?? now),
			last_seen_at: now,
			removed_at: null,
		});
		return this.#told(nodeId);
	}

	/** What a machine says of itself now and then; also its heartbeat. @throws WarrenError `unknown_machine`, `bad_name`. */
	async update(nodeId: string, facts: Partial<MachineFacts>): Promise<Machine> {
		const row = await this.#standing(nodeId);
		const before = this.#machineOf(row);
		const said = facts.hosts ?? before.hosts;
		const write = async (db: Kysely<AccountsTables>, { hosts, certified }: OwnHosts) => {
			const set = {
				name: facts.name ?? before.name,
				hosts: JSON.stringify(hosts),
				certified: JSON.stringify(certified),
				port: facts.port ?? before.port,
				version: facts.version ?? before.version,
			};
			await db
				.updateTable("accounts_machines")
				.set({ ...set, last_seen_at: this.#clock.now() })
				.where("node_id", "=", nodeId)
				.where("removed_at", "is", null)
				.execute();
			return set;
		};
		const own = await ownHosts(this.#db, said, nodeId);
		// What is its own already is nobody else's to take: a heartbeat waits for nobody.
		const set =
			JSON.stringify(own.certified) === row.certified
				? await write(this.#db, own)
				: await this.#alone(async (db) => write(db, await ownHosts(db, said, nodeId)));
		const changed =
			set.name !== before.name ||
			set.hosts !== JSON.stringify(before.hosts) ||
			set.port !== before.port ||
			set.version !== before.version ||
			!before.online;
		return changed ? this.#told(nodeId) : this.get(nodeId);
	}

	/** Its token dies, its sockets close, and it stays removed until somebody invites it anew. @throws WarrenError `unknown_machine`, `machine_exists`. */
	async remove(nodeId: string): Promise<void> {
		const machine = await this.get(nodeId);
		if (machine.hub)
			throw accountsError("machine_exists", `${machine.name} runs this hub and cannot be removed from it.`, {
				fix: "",
			});
		await this.#db
			.updateTable("accounts_machines")
			.set({ removed_at: this.#clock.now(), token_hash: null })
			.where("node_id", "=", nodeId)
			.execute();
		this.#revoked.publish({ kind: "node", nodeId });
		this.#announce({ type: "machine-removed", nodeId });
	}

	/** What a machine's certificate may name. @throws WarrenError `unknown_machine`. */
	async certifiedHosts(nodeId: string): Promise<readonly string[]> {
		const row = await this.#standing(nodeId);
		return JSON.parse(row.certified) as string[];
	}

	/** In the order in which they joined. */
	async list(): Promise<Machine[]> {
		const rows = await this.#db
			.selectFrom("accounts_machines")
			.selectAll()
			.where("removed_at", "is", null)
			.orderBy("joined_at")
			.execute();
		return rows.map((row) => this.#machineOf(row));
	}

	/** @throws WarrenError `unknown_machine`. */
	async get(nodeId: string): Promise<Machine> {
		return this.#machineOf(await this.#standing(nodeId));
	}

	/** Each change from now on, a machine's silence too. */
	watch(watcher: (change: MachineChange) => void): Closeable {
		this.#watchers.add(watcher);
		if (this.#sweep === undefined) this.#armSweep();
		return {
			close: () => {
				this.#watchers.delete(watcher);
				if (this.#watchers.size > 0) return;
				this.#sweep?.cancel();
				this.#sweep = undefined;
				this.#online.clear();
			},
		};
	}

	authenticate: Authenticator["authenticate"] = async (credential) => {
		if (credential.scheme !== "bearer" || !credential.token.startsWith(nodeTokenPrefix)) return null;
		const row = await this.#db
			.selectFrom("accounts_machines")
			.select(["node_id", "name"])
			.where("token_hash", "=", hashToken(credential.token))
			.where("removed_at", "is", null)
			.executeTakeFirst();
		if (row === undefined)
			return { ok: false, reason: "invalid", message: "This machine was removed from the warren, or never joined it." };
		return { ok: true, kind: "node", identity: { kind: "node", nodeId: row.node_id as NodeId, name: row.name } };
	};

	/** For the hub's own node: every machine but the one it runs on. */
	candidates: PeerSource["candidates"] = async () => {
		try {
			const machines = await this.list();
			return { candidates: machines.filter((machine) => !machine.hub).flatMap(candidateOf), errors: [] };
		} catch (fault) {
			const message = `The hub's list of machines cannot be read: ${(fault as Error).message}.`;
			return { candidates: [], errors: [{ source: this.name, kind: "unreadable", message, fix: "See the log." }] };
		}
	};

	/** What a machine may be certified for is read and written by one at a time, of all hubs over these tables. */
	#alone<T>(work: (db: Kysely<AccountsTables>) => Promise<T>): Promise<T> {
		return this.#db.transaction().execute(async (transaction) => {
			if (engineOf(transaction) === "postgres")
				await sql`lock table accounts_machines in share row exclusive mode`.execute(transaction);
			return work(transaction);
		});
	}

	async #standing(nodeId: string): Promise<Row> {
		const row = await this.#row(nodeId);
		if (row === undefined || row.removed_at !== null)
			throw accountsError("unknown_machine", `There is no machine "${nodeId.slice(0, 40)}" in this warren.`);
		return row;
	}

	#row(nodeId: string): Promise<Row | undefined> {
		return this.#db.selectFrom("accounts_machines").selectAll().where("node_id", "=", nodeId).executeTakeFirst();
	}

	async #told(nodeId: string): Promise<Machine> {
		const machine = await this.get(nodeId);
		this.#announce({ type: "machine", machine });
		return machine;
	}

	/** Here, and in the hub's other processes. */
	#announce(change: MachineChange): void {
		this.#tell(change);
		const nodeId = change.type === "machine" ? change.machine.nodeId : change.nodeId;
		this.#bus?.publish(changedSubject, Buffer.from(`${this.#hubProcess} ${nodeId}`));
	}

	async #retell(nodeId: string): Promise<void> {
		const row = await this.#row(nodeId);
		if (row === undefined || row.removed_at !== null) this.#tell({ type: "machine-removed", nodeId });
		else this.#tell({ type: "machine", machine: this.#machineOf(row) });
	}

	#tell(change: MachineChange): void {
		if (change.type === "machine") this.#online.set(change.machine.nodeId, change.machine.online);
		else this.#online.delete(change.nodeId);
		for (const watcher of this.#watchers) watcher(change);
	}

	#armSweep(): void {
		this.#sweep = this.#clock.after(machineLimits.heartbeatMs, () => {
			this.#armSweep();
			this.#tellSilent().catch(() => {
				// The tables cannot be read now: the next round tells.
			});
		});
	}

	async #tellSilent(): Promise<void> {
		for (const machine of await this.list()) {
			const before = this.#online.get(machine.nodeId);
			this.#online.set(machine.nodeId, machine.online);
			if (before === true && !machine.online) this.#tell({ type: "machine", machine });
		}
	}

	#machineOf(row: Row): Machine {
		const hub = row.token_hash === null;
		const lastSeenAt = hub ? this.#clock.now() : Number(row.last_seen_at);
		return {
			nodeId: row.node_id,
			name: row.name,
			hosts: JSON.parse(row.hosts) as string[],
			port: row.port,
			version: row.version,
			ownerId: row.owner_id,
			joinedAt: Number(row.joined_at),
			lastSeenAt,
			online: hub || this.#clock.now() - lastSeenAt < machineLimits.onlineMs,
			hub,
		};
	}
}

/**
 * Machines may share names and addresses (two behind one NAT, two called raspberrypi): all are listed, the contested
 * ones last. But nobody is certified for what another machine had first: its owner could be impersonated.
 * @throws WarrenError `bad_name` when nothing is left that is this machine's own.
 */
async function ownHosts(db: Kysely<AccountsTables>, said: readonly string[], nodeId: string): Promise<OwnHosts> {
	const others = await db
		.selectFrom("accounts_machines")
		.select(["name", "certified"])
		.where("removed_at", "is", null)
		.where("node_id", "<>", nodeId)
		.execute();
	const all = [...new Set(said.map(canonicalHost))].slice(0, machineLimits.maxHosts);
	const holderOf = (host: string) =>
		isLoopback(host) ? undefined : others.find((row) => (JSON.parse(row.certified) as string[]).includes(host));
	const certified = all.filter((host) => holderOf(host) === undefined);
	const contested = all.filter((host) => holderOf(host) !== undefined);
	const first = contested[0];
	if (first !== undefined && certified.every(isLoopback))
		throw accountsError("bad_name", `"${first}" is already a name of the machine ${holderOf(first)?.name}.`, {
			fix: "Give this machine another name with --name, or remove the other one.",
		});
	return { hosts: [...certified, ...contested], certified };
}

async function checkRoom(db: Kysely<AccountsTables>, nodeId: string): Promise<void> {
	const machines = await db
		.selectFrom("accounts_machines")
		.select(["node_id", "name"])
		.where("removed_at", "is", null)
		.execute();
	const same = machines.find((machine) => machine.node_id === nodeId);
	if (same !== undefined) throw accountsError("machine_exists", `This machine is already here, as ${same.name}.`);
	if (machines.length >= machineLimits.maxMachines)
		throw accountsError("too_many", `This warren already has ${machineLimits.maxMachines} machines.`);
}

async function put(db: Kysely<AccountsTables>, row: Row): Promise<void> {
	await db
		.insertInto("accounts_machines")
		.values(row)
		.onConflict((conflict) => conflict.column("node_id").doUpdateSet(row))
		.execute();
}

/** How a node dials it: by the first of its hosts that means the same elsewhere, then by its others. */
export function candidateOf(machine: Pick<Machine, "nodeId" | "name" | "hosts" | "port">): PeerCandidate[] {
	const host = machine.hosts.find((each) => !isLoopback(each));
	if (host === undefined) return [];
	const others = machine.hosts.filter((each) => each !== host);
	return [{ name: machine.name, host, port: machine.port, others, nodeId: machine.nodeId as NodeId }];
}

function isLoopback(host: string): boolean {
	return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}
