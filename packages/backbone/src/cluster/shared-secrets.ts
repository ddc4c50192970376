import { createCipheriv, createDecipheriv, hkdfSync } from "node:crypto";
import type { Clock, Random } from "@warren/kernel";
import type { Kysely } from "kysely";
import { backboneError } from "../errors.ts";
import type { BackboneTables } from "../schema.ts";

const ivBytes = 12;
const tagBytes = 16;

/** A secret as it stands; `version` counts its changes. */
export interface SharedSecret {
	readonly text: string;
	readonly version: number;
}

/**
 * Secrets that all nodes have, in the tables they share: sealed (AES-256-GCM, a key of the master secret, the name
 * bound to it), so that whoever reads the database alone has none of them. Changed by comparing versions: of two nodes
 * that change one at once, one learns that it was the second.
 */
export class SharedSecrets {
	readonly #db: Kysely<BackboneTables>;
	readonly #key: Buffer;
	readonly #clock: Clock;
	readonly #random: Random;

	constructor(deps: { db: Kysely<BackboneTables>; clock: Clock; random: Random }, masterSecret: string) {
		this.#db = deps.db;
		this.#clock = deps.clock;
		this.#random = deps.random;
		this.#key = Buffer.from(hkdfSync("sha256", masterSecret, "", "mosb-shared-secrets-v1", 32));
	}

	/** @throws WarrenError `secret_unreadable` when it was sealed by another master secret, or changed. */
	async read(name: string): Promise<SharedSecret | null> {
		const row = await this.#db
			.selectFrom("backbone_shared_secrets")
			.selectAll()
			.where("name", "=", name)
			.executeTakeFirst();
		return row === undefined ? null : { text: this.#open(name, row.sealed), version: Number(row.version) };
	}

	/** @param expected the version that it replaces; 0 = there must be none. @returns false when another stands there. */
	async write(name: string, text: string, expected: number): Promise<boolean> {
		const row = { sealed: this.#seal(name, text), version: expected + 1, updated_at: this.#clock.now() };
		if (expected === 0) {
			const made = await this.#db
				.insertInto("backbone_shared_secrets")
				.values({ name, ...row })
				.onConflict((conflict) => conflict.doNothing())
				.executeTakeFirst();
			return Number(made.numInsertedOrUpdatedRows ?? 0) > 0;
		}
		const changed = await this.#db
			.updateTable("backbone_shared_secrets")
			.set(row)
			.where("name", "=", name)
			.where("version", "=", expected)
			.executeTakeFirst();
		return Number(changed.numUpdatedRows) > 0;
	}

	/** Whatever stands there; for what only one node at a time may write. */
	async put(name: string, text: string): Promise<void> {
		for (;;) {
			const stands = await this.read(name);
			if (await this.write(name, text, stands?.version ?? 0)) return;
		}
	}

	#seal(name: string, text: string): string {
		const iv = Buffer.from(this.#random.bytes(ivBytes));
		const cipher = createCipheriv("aes-256-gcm", this.#key, iv).setAAD(Buffer.from(name));
		const body = Buffer.concat([cipher.update(text, "utf8"), cipher.final()]);
		return Buffer.concat([iv, cipher.getAuthTag(), body]).toString("base64url");
	}

	#open(name: string, sealed: string): string {
		const bytes = Buffer.from(sealed, "base64url");
		try {
			const cipher = createDecipheriv("aes-256-gcm", this.#key, bytes.subarray(0, ivBytes))
				.setAAD(Buffer.from(name))
				.setAuthTag(bytes.subarray(ivBytes, ivBytes + tagBytes));
			return cipher.update(bytes.subarray(ivBytes + tagBytes), undefined, "utf8") + cipher.final("utf8");
		} catch (cause) {
			throw backboneError("secret_unreadable", `The shared secret "${name}" was not sealed by this master secret.`, {
				fix: "Every node needs the same BACKBONE_MASTER_SECRET or backbone/master.secret.",
				cause,
			});
		}
	}
}
