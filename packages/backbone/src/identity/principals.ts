import { randomUUID } from "node:crypto";
import type { Clock } from "@warren/kernel";
import type { Kysely } from "kysely";
import type { Changes } from "../changes.ts";
import { backboneError } from "../errors.ts";
import { derivePrincipalKey, formatCredential } from "../protocol/tokens.ts";
import type { BackboneTables } from "../schema.ts";

export interface PrincipalLimits {
	readonly requestsPerSecond?: number;
	readonly bytesPerSecond?: number;
}

/** A client of the backbone, as its API shows it. */
export interface Principal {
	readonly principal_id: string;
	readonly name: string;
	readonly email: string;
	readonly note: string;
	readonly key_version: number;
	readonly state: "active" | "pending" | "revoked";
	readonly limits: PrincipalLimits;
	readonly created_at: number;
}

/** Principals that may stand at once, whoever made them. */
export const maxPrincipals = 10_000;

/** Whoever registered, their keys and what they may reach. A credential is derived, never stored. */
export class Principals {
	readonly #db: Kysely<BackboneTables>;
	readonly #clock: Clock;
	readonly #masterSecret: string;
	readonly #changes: Changes;

	constructor(db: Kysely<BackboneTables>, clock: Clock, masterSecret: string, changes: Changes) {
		this.#db = db;
		this.#clock = clock;
		this.#masterSecret = masterSecret;
		this.#changes = changes;
	}

	keyOf(principal: Pick<Principal, "principal_id" | "key_version">): Buffer {
		return derivePrincipalKey(this.#masterSecret, principal.principal_id, principal.key_version);
	}

	credentialOf(principal: Pick<Principal, "principal_id" | "key_version">): string {
		return formatCredential(principal.principal_id, this.keyOf(principal));
	}

	async register(facts: {
		name: string;
		email: string;
		note: string;
		address: string;
		state: "active" | "pending";
	}): Promise<Principal> {
		const { count } = await this.#db
			.selectFrom("backbone_principals")
			.select((all) => all.fn.countAll<number>().as("count"))
			.where("state", "!=", "revoked")
			.executeTakeFirstOrThrow();
		if (Number(count) >= maxPrincipals)
			throw backboneError("full", `There are ${maxPrincipals} principals already: no more can register.`);
		const row = {
			id: randomUUID(),
			...facts,
			key_version: 1,
			limits: "{}",
			created_at: this.#clock.now(),
		};
		await this.#db.insertInto("backbone_principals").values(row).execute();
		return shown(row);
	}

	async find(id: string): Promise<Principal | null> {
		const row = await this.#db.selectFrom("backbone_principals").selectAll().where("id", "=", id).executeTakeFirst();
		return row === undefined ? null : shown(row);
	}

	/** @throws WarrenError `unknown_principal`. */
	async get(id: string): Promise<Principal> {
		const found = await this.find(id);
		if (found === null) throw backboneError("unknown_principal", `There is no principal "${id.slice(0, 60)}".`);
		return found;
	}

	async list(): Promise<Principal[]> {
		const rows = await this.#db.selectFrom("backbone_principals").selectAll().orderBy("created_at").execute();
		return rows.map(shown);
	}

	/** Raises key_version: the old credential and every URL token of it are refused from now on. @param from what it was: two at once make one change. */
	async rotate(id: string, from: number): Promise<Principal> {
		const done = await this.#db
			.updateTable("backbone_principals")
			.set({ key_version: from + 1 })
			.where("id", "=", id)
			.where("key_version", "=", from)
			.executeTakeFirst();
		if (Number(done.numUpdatedRows) !== 1)
			throw backboneError("conflict", "This credential was rotated a moment ago.", { fix: "Use the newer one." });
		this.#changes.tell({ of: "principal", id, ends: { service: null } });
		return this.get(id);
	}

	/** @throws WarrenError `unknown_principal`. */
	async set(id: string, change: { state?: "active" | "revoked"; limits?: PrincipalLimits }): Promise<Principal> {
		const row = {
			...(change.state === undefined ? {} : { state: change.state }),
			...(change.limits === undefined ? {} : { limits: JSON.stringify(change.limits) }),
		};
		const before = await this.get(id);
		if (change.state === "revoked")
			await this.#db.updateTable("backbone_principals").set(row).where("id", "=", id).execute();
		else if (before.state === "revoked" || (Object.keys(row).length > 0 && !(await this.#changeStanding(id, row))))
			throw backboneError("conflict", `Principal ${id} is revoked.`, { fix: "Let it register again." });
		if (change.state === "revoked")
			await this.#db.deleteFrom("backbone_grants").where("principal_id", "=", id).execute();
		this.#changes.tell({ of: "principal", id, ends: change.state === "revoked" ? { service: null } : null });
		return this.get(id);
	}

	/** @returns false for one that was revoked meanwhile. */
	async #changeStanding(id: string, row: { state?: string; limits?: string }): Promise<boolean> {
		const done = await this.#db
			.updateTable("backbone_principals")
			.set(row)
			.where("id", "=", id)
			.where("state", "!=", "revoked")
			.executeTakeFirst();
		return Number(done.numUpdatedRows) === 1;
	}

	/** @returns false when it was granted before. @throws WarrenError `unknown_principal`, `unknown_service`. */
	async grant(id: string, service: string, by: string): Promise<boolean> {
		const principal = await this.get(id);
		if (principal.state === "revoked") throw backboneError("conflict", `Principal ${id} is revoked.`);
		await this.#assertService(service);
		const done = await this.#db
			.insertInto("backbone_grants")
			.values({ principal_id: id, service, created_by: by, created_at: this.#clock.now() })
			.onConflict((conflict) => conflict.doNothing())
			.executeTakeFirst();
		try {
			// Taken away meanwhile: the grant would open a later service of this name.
			await this.#assertService(service);
		} catch (gone) {
			await this.revokeGrant(id, service);
			throw gone;
		}
		this.#changes.tell({ of: "principal", id, ends: null });
		return Number(done.numInsertedOrUpdatedRows ?? 0) > 0;
	}

	/** @throws WarrenError `unknown_service`. */
	async #assertService(name: string): Promise<void> {
		const found = await this.#db
			.selectFrom("backbone_services")
			.select("name")
			.where("name", "=", name)
			.executeTakeFirst();
		if (found === undefined)
			throw backboneError("unknown_service", `There is no service "${name.slice(0, 63)}".`, {
				fix: "Make a token for it first.",
			});
	}

	async revokeGrant(id: string, service: string): Promise<boolean> {
		const done = await this.#db
			.deleteFrom("backbone_grants")
			.where("principal_id", "=", id)
			.where("service", "=", service)
			.executeTakeFirst();
		this.#changes.tell({ of: "principal", id, ends: { service } });
		return Number(done.numDeletedRows) > 0;
	}

	async isGranted(id: string, service: string): Promise<boolean> {
		const row = await this.#db
			.selectFrom("backbone_grants")
			.select("service")
			.where("principal_id", "=", id)
			.where("service", "=", service)
			.executeTakeFirst();
		return row !== undefined;
	}

	/** Whether somebody who was let in by a grant may still be: the principal, its key and the grant stand. */
	async mayReach(id: string, service: string, keyVersion: number): Promise<boolean> {
		const principal = await this.find(id);
		return (
			principal !== null &&
			principal.state === "active" &&
			principal.key_version === keyVersion &&
			(await this.isGranted(id, service))
		);
	}

	async grantsOf(id: string): Promise<{ principal_id: string; service: string; created_at: number }[]> {
		const rows = await this.#db
			.selectFrom("backbone_grants")
			.select(["principal_id", "service", "created_at"])
			.where("principal_id", "=", id)
			.orderBy("service")
			.execute();
		return rows.map((row) => ({ ...row, created_at: Number(row.created_at) }));
	}
}

function shown(row: BackboneTables["backbone_principals"]): Principal {
	return {
		principal_id: row.id,
		name: row.name,
		email: row.email,
		note: row.note,
		key_version: row.key_version,
		state: row.state as Principal["state"],
		limits: JSON.parse(row.limits) as PrincipalLimits,
		created_at: Number(row.created_at),
	};
}
