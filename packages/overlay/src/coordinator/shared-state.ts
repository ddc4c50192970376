import type { Clock, Logger } from "@warren/kernel";
import { messageOf } from "@warren/kernel";
import { assertLeads, type Schema } from "@warren/store";
import type { Kysely, Transaction } from "kysely";
import type { Change } from "../protocol/change-log.ts";
import type { OverlayPeerId, PeerRecord, WireGuardKey } from "../protocol/peer-record.ts";
import type { RosterJournal, RosterStart } from "../protocol/roster-machine.ts";
import type { AddressEntry, AddressStore } from "./address-book.ts";
import type { KeptPeer, PeerStore } from "./live-peer.ts";
import { type ServiceName, type ServiceNameStore, serviceNamesMigration } from "./service-names.ts";

interface Tables {
	coordinator_shared_addresses: { wg_public_key: string; entry: string };
	/** `live`: what its registration said; `record`: what others were told of it, null until they were. */
	coordinator_shared_peers: { peer_id: string; live: string | null; record: string | null };
	coordinator_shared_changes: {
		sequence: number;
		peer_id: string;
		before_class: string | null;
		after_class: string | null;
	};
	/** `policy`, `epoch`, `sequence`, `run`. */
	coordinator_shared_facts: { name: string; value: string };
	coordinator_service_names: ServiceName;
}

export const sharedCoordinatorSchema: Schema = {
	domain: "coordinator-shared",
	migrations: {
		"001-state": {
			async up(db) {
				await db.schema
					.createTable("coordinator_shared_addresses")
					.addColumn("wg_public_key", "text", (column) => column.primaryKey())
					.addColumn("entry", "text", (column) => column.notNull())
					.execute();
				await db.schema
					.createTable("coordinator_shared_peers")
					.addColumn("peer_id", "text", (column) => column.primaryKey())
					.addColumn("live", "text")
					.addColumn("record", "text")
					.execute();
				await db.schema
					.createTable("coordinator_shared_changes")
					.addColumn("sequence", "bigint", (column) => column.primaryKey())
					.addColumn("peer_id", "text", (column) => column.notNull())
					.addColumn("before_class", "text")
					.addColumn("after_class", "text")
					.execute();
				await db.schema
					.createTable("coordinator_shared_facts")
					.addColumn("name", "text", (column) => column.primaryKey())
					.addColumn("value", "text", (column) => column.notNull())
					.execute();
			},
		},
		"002-service-names": serviceNamesMigration,
	},
};

type Work = (transaction: Transaction<Tables>) => Promise<unknown>;

const limits = {
	/** Changes that are kept for readers that come back at the next leader. */
	keptChanges: 16_384,
	trimEvery: 1_024,
	retryMs: 200,
} as const;

/**
 * A leading coordinator's state in PostgreSQL. What one turn of the event loop brought about is one transaction: a policy
 * and the epoch that it begins, a record and the change that tells of it. Whatever is written after another took over is
 * refused.
 */
export class SharedCoordinatorState implements AddressStore, PeerStore, ServiceNameStore, RosterJournal {
	readonly #db: Kysely<Tables>;
	readonly #deps: { readonly clock: Clock; readonly logger: Logger };
	readonly #role: string;
	readonly #epoch: number;
	readonly #addresses: readonly AddressEntry[];
	readonly #peers: readonly KeptPeer[];
	readonly #names: readonly ServiceName[];
	readonly start: RosterStart;
	readonly policy: string | null;
	/** The same for all leaders: what it stands for has outlived them. */
	readonly run: string;
	#work: Work[] = [];
	#writing: Promise<void> | null = null;
	#isOver = false;
	#sinceTrim = 0;

	private constructor(
		db: Kysely<Tables>,
		deps: { readonly clock: Clock; readonly logger: Logger },
		role: string,
		epoch: number,
		read: {
			addresses: readonly AddressEntry[];
			peers: readonly KeptPeer[];
			names: readonly ServiceName[];
			start: RosterStart;
			policy: string | null;
			run: string;
		},
	) {
		this.#db = db;
		this.#deps = deps;
		this.#role = role;
		this.#epoch = epoch;
		this.#addresses = read.addresses;
		this.#peers = read.peers;
		this.#names = read.names;
		this.start = read.start;
		this.policy = read.policy;
		this.run = read.run;
	}

	/** @param newRun for an installation that has none yet. @throws WarrenError `store_away`. */
	static async load(
		db: Kysely<any>,
		deps: { readonly clock: Clock; readonly logger: Logger },
		role: string,
		epoch: number,
		newRun: string,
	): Promise<SharedCoordinatorState> {
		const tables = db as Kysely<Tables>;
		const facts = new Map(
			(await tables.selectFrom("coordinator_shared_facts").selectAll().execute()).map((row) => [row.name, row.value]),
		);
		const addresses = (await tables.selectFrom("coordinator_shared_addresses").selectAll().execute()).map(
			({ entry }) => JSON.parse(entry) as AddressEntry,
		);
		const rows = await tables.selectFrom("coordinator_shared_peers").selectAll().execute();
		const changes = await tables.selectFrom("coordinator_shared_changes").selectAll().orderBy("sequence").execute();
		const sequence = Number(facts.get("sequence") ?? 0);
		const log: Change[] = changes
			.filter((row) => Number(row.sequence) <= sequence)
			.slice(-limits.keptChanges)
			.map((row) => ({ peerId: row.peer_id as OverlayPeerId, before: row.before_class, after: row.after_class }));
		const peers: KeptPeer[] = [];
		const records: PeerRecord[] = [];
		for (const { live, record } of rows) {
			if (record === null) continue;
			records.push(JSON.parse(record) as PeerRecord);
			if (live !== null) peers.push({ ...(JSON.parse(live) as KeptPeer), record: JSON.parse(record) as PeerRecord });
		}
		const run = facts.get("run") ?? newRun;
		const state = new SharedCoordinatorState(tables, deps, role, epoch, {
			addresses,
			peers,
			names: await tables.selectFrom("coordinator_service_names").selectAll().execute(),
			start: { epoch: facts.get("epoch") ?? null, sequence, log, records },
			policy: facts.get("policy") ?? null,
			run,
		});
		if (!facts.has("run")) state.#setFact("run", run);
		return state;
	}

	// ── addresses ──

	load(): Iterable<AddressEntry> {
		return this.#addresses;
	}

	save(entry: AddressEntry, replaced: readonly WireGuardKey[] = []): void {
		for (const key of replaced) this.forget(key);
		const row = { wg_public_key: entry.key, entry: JSON.stringify(entry) };
		this.#add((transaction) =>
			transaction
				.insertInto("coordinator_shared_addresses")
				.values(row)
				.onConflict((conflict) => conflict.column("wg_public_key").doUpdateSet({ entry: row.entry }))
				.execute(),
		);
	}

	forget(key: WireGuardKey): void {
		this.#add((transaction) =>
			transaction.deleteFrom("coordinator_shared_addresses").where("wg_public_key", "=", key).execute(),
		);
	}

	// ── peers ──

	peers(): Iterable<KeptPeer> {
		return this.#peers;
	}

	savePeer(peer: KeptPeer): void {
		const { record, ...rest } = peer;
		const live = JSON.stringify(rest);
		this.#add((transaction) =>
			transaction
				.insertInto("coordinator_shared_peers")
				.values({ peer_id: record.peer_id, live, record: null })
				.onConflict((conflict) => conflict.column("peer_id").doUpdateSet({ live }))
				.execute(),
		);
	}

	// ── services ──

	serviceNames(): Iterable<ServiceName> {
		return this.#names;
	}

	saveServiceName(entry: ServiceName): void {
		this.#add((transaction) =>
			transaction
				.insertInto("coordinator_service_names")
				.values(entry)
				.onConflict((conflict) => conflict.doNothing())
				.execute(),
		);
	}

	savePolicy(text: string): void {
		this.#setFact("policy", text);
	}

	// ── roster ──

	begun(epoch: string, sequence: number): void {
		this.#setFact("epoch", epoch);
		this.#setFact("sequence", String(sequence));
	}

	/** A policy is another's reach: no reader goes on over it. */
	restarted(epoch: string, sequence: number): void {
		this.#add((transaction) => transaction.deleteFrom("coordinator_shared_changes").execute());
		this.begun(epoch, sequence);
	}

	changed(sequence: number, change: Change, record: PeerRecord | null): void {
		const row = { sequence, peer_id: change.peerId, before_class: change.before, after_class: change.after };
		this.#add((transaction) =>
			transaction
				.insertInto("coordinator_shared_changes")
				.values(row)
				.onConflict((conflict) => conflict.doNothing())
				.execute(),
		);
		const text = record === null ? null : JSON.stringify(record);
		this.#add((transaction) =>
			text === null
				? transaction.deleteFrom("coordinator_shared_peers").where("peer_id", "=", change.peerId).execute()
				: transaction
						.insertInto("coordinator_shared_peers")
						.values({ peer_id: change.peerId, live: null, record: text })
						.onConflict((conflict) => conflict.column("peer_id").doUpdateSet({ record: text }))
						.execute(),
		);
		this.#setFact("sequence", String(sequence));
		if (++this.#sinceTrim < limits.trimEvery) return;
		this.#sinceTrim = 0;
		this.#add((transaction) =>
			transaction
				.deleteFrom("coordinator_shared_changes")
				.where("sequence", "<=", sequence - limits.keptChanges)
				.execute(),
		);
	}

	/** What was done until now is on disk. @throws WarrenError of whatever keeps it from being so. */
	async settled(): Promise<void> {
		while (this.#work.length > 0 || this.#writing !== null) await (this.#writing ?? this.#begin());
	}

	#setFact(name: string, value: string): void {
		this.#add((transaction) =>
			transaction
				.insertInto("coordinator_shared_facts")
				.values({ name, value })
				.onConflict((conflict) => conflict.column("name").doUpdateSet({ value }))
				.execute(),
		);
	}

	#add(work: Work): void {
		if (this.#isOver) return;
		if (this.#work.push(work) === 1 && this.#writing === null)
			setImmediate(() => {
				if (this.#writing === null && this.#work.length > 0) this.#begin().catch(() => {});
			});
	}

	#begin(): Promise<void> {
		const writing = this.#write().finally(() => {
			this.#writing = null;
			if (this.#work.length > 0 && !this.#isOver) this.#begin().catch(() => {});
		});
		this.#writing = writing;
		// Whoever waits hears of it; nobody may.
		writing.catch(() => {});
		return writing;
	}

	async #write(): Promise<void> {
		const batch = this.#work;
		this.#work = [];
		try {
			await this.#db.transaction().execute(async (transaction) => {
				await assertLeads(transaction, this.#role, this.#epoch);
				for (const work of batch) await work(transaction);
			});
		} catch (fault) {
			this.#deps.logger.error("the coordinator's state cannot be written", { fault: messageOf(fault) });
			if ((fault as { code?: unknown }).code === "store_busy") this.#isOver = true;
			else this.#work = [...batch, ...this.#work];
			// All of it can be written again, should only the answer have been lost.
			await new Promise<void>((resolve) => this.#deps.clock.after(limits.retryMs, resolve));
			throw fault;
		}
	}
}
