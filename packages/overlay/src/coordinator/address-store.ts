import type { Schema, Statements } from "@warren/store";
import { sql } from "kysely";
import type { OverlayPeerId, Ula, WireGuardKey } from "../protocol/peer-record.ts";
import type { AddressEntry, AddressStore } from "./address-book.ts";
import { type ServiceName, type ServiceNameStore, serviceNamesMigration } from "./service-names.ts";

export const coordinatorSchema: Schema = {
	domain: "coordinator",
	migrations: {
		"001-addresses": {
			up: async (db) => {
				await sql`create table coordinator_addresses (
					wg_public_key text primary key, peer_id text not null, network text not null, ula text not null unique,
					holder text not null, tags text not null, removed integer not null
				) strict`.execute(db);
				await sql`create table coordinator_policy (id integer primary key check (id = 1), text text not null) strict`.execute(
					db,
				);
			},
		},
		"002-service-names": serviceNamesMigration,
	},
};

/** Addresses and services' names in the coordinator's own SQLite file. */
export class SqliteAddressStore implements AddressStore, ServiceNameStore {
	readonly #statements: Statements;

	constructor(statements: Statements) {
		this.#statements = statements;
	}

	*load(): Iterable<AddressEntry> {
		const rows = this.#statements.all<Record<string, string | number>>("select * from coordinator_addresses");
		for (const row of rows) {
			yield {
				key: row["wg_public_key"] as WireGuardKey,
				peerId: row["peer_id"] as OverlayPeerId,
				network: row["network"] as string,
				ula: row["ula"] as Ula,
				holder: row["holder"] as string,
				tags: JSON.parse(row["tags"] as string) as string[],
				removed: row["removed"] === 1,
			};
		}
	}

	save(entry: AddressEntry, replaced: readonly WireGuardKey[] = []): void {
		this.#statements.transaction(() => {
			for (const key of replaced) this.forget(key);
			this.#statements.run(
				"insert or replace into coordinator_addresses values (?, ?, ?, ?, ?, ?, ?)",
				entry.key,
				entry.peerId,
				entry.network,
				entry.ula,
				entry.holder,
				JSON.stringify(entry.tags),
				entry.removed ? 1 : 0,
			);
		});
	}

	forget(key: WireGuardKey): void {
		this.#statements.run("delete from coordinator_addresses where wg_public_key = ?", key);
	}

	serviceNames(): Iterable<ServiceName> {
		return this.#statements.all<ServiceName>("select name, uuid from coordinator_service_names");
	}

	saveServiceName({ name, uuid }: ServiceName): void {
		this.#statements.run("insert into coordinator_service_names values (?, ?)", name, uuid);
	}

	policy(): string | null {
		return this.#statements.all<{ text: string }>("select text from coordinator_policy")[0]?.text ?? null;
	}

	savePolicy(text: string): void {
		this.#statements.run("insert or replace into coordinator_policy values (1, ?)", text);
	}
}
