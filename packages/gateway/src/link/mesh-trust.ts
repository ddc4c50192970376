import type { Clock, FederatedIncoming } from "@warren/kernel";
import type { Statements } from "@warren/store";
import { fingerprintOf, isSignedBy } from "../ed25519.ts";
import { gatewayError } from "../errors.ts";
import { openEnvelope } from "../protocol/index.ts";

/** Beyond it a new mesh's messages count as unsigned. */
const maxKeys = 10_000;

interface Row {
	readonly mesh_id: string;
	readonly name: string;
	readonly public_key: string;
	readonly since: number;
	readonly offered_key: string | null;
	readonly refused: number;
	readonly refused_at: number | null;
	readonly refused_why: string | null;
}

export interface KnownMesh {
	readonly meshId: string;
	readonly name: string;
	readonly fingerprint: string;
	/** When its key was first seen, or accepted. */
	readonly since: number;
	/** Messages that were not its own. */
	readonly refused: number;
	readonly refusedAt: number | null;
	readonly refusedWhy: string | null;
	/** Of another key that has turned up in its name. */
	readonly offered: string | null;
}

export type Judged =
	| { readonly ok: true; readonly signedBy: string | null }
	| { readonly ok: false; readonly why: string };

/** Each mesh's key, kept at first contact: from then on what comes in its name is signed with it, or refused. Rules E3, E4. */
export class MeshTrust {
	readonly #statements: Statements;
	readonly #clock: Clock;

	constructor(statements: Statements, clock: Clock) {
		this.#statements = statements;
		this.#clock = clock;
	}

	judge({ fromMeshId, fromMeshName, payload }: Omit<FederatedIncoming, "signedBy">): Judged {
		const opened = openEnvelope(fromMeshId, payload, isSignedBy);
		const known = this.#find(fromMeshId);
		switch (opened.kind) {
			case "forged":
				return this.#refuse(known, opened.why, null);
			case "unsigned":
				if (known === null) return { ok: true, signedBy: null };
				return this.#refuse(known, "it is not signed, and what this mesh said before was", null);
			case "signed":
				if (known === null) return { ok: true, signedBy: this.#keep(fromMeshId, fromMeshName, opened.key) };
				if (known.public_key === opened.key) return { ok: true, signedBy: opened.key };
				return this.#refuse(known, "it is signed with another key than before", opened.key);
		}
	}

	list(): KnownMesh[] {
		return this.#statements.all<Row>("SELECT * FROM gateway_mesh_keys ORDER BY refused_at DESC, name").map((row) => ({
			meshId: row.mesh_id,
			name: row.name,
			fingerprint: fingerprintOf(row.public_key),
			since: row.since,
			refused: row.refused,
			refusedAt: row.refused_at,
			refusedWhy: row.refused_why,
			offered: row.offered_key === null ? null : fingerprintOf(row.offered_key),
		}));
	}

	/** The key that has turned up is its new one. @throws WarrenError `unknown_key`: not the one that was looked at. */
	accept(meshId: string, fingerprint: string): void {
		const row = this.#find(meshId);
		if (row?.offered_key == null || fingerprintOf(row.offered_key) !== fingerprint)
			throw gatewayError("unknown_key", `No key with the fingerprint ${fingerprint} waits for "${meshId}".`);
		this.#statements.run(
			"UPDATE gateway_mesh_keys SET public_key = ?, since = ?, offered_key = NULL, refused = 0, refused_at = NULL, refused_why = NULL WHERE mesh_id = ?",
			row.offered_key,
			this.#clock.now(),
			meshId,
		);
	}

	/** As if it had never been met. @throws WarrenError `unknown_mesh`. */
	forget(meshId: string): void {
		const gone = this.#statements.run("DELETE FROM gateway_mesh_keys WHERE mesh_id = ?", meshId);
		if (gone === 0) throw gatewayError("unknown_mesh", `No key of "${meshId}" is kept here.`);
	}

	/** @returns null where there is no more room. */
	#keep(meshId: string, name: string, key: string): string | null {
		const [count] = this.#statements.all<{ count: number }>("SELECT count(*) AS count FROM gateway_mesh_keys");
		if ((count?.count ?? 0) >= maxKeys) return null;
		this.#statements.run(
			"INSERT INTO gateway_mesh_keys (mesh_id, name, public_key, since, refused) VALUES (?, ?, ?, ?, 0)",
			meshId,
			name,
			key,
			this.#clock.now(),
		);
		return key;
	}

	#refuse(known: Row | null, why: string, offered: string | null): Judged {
		if (known !== null)
			this.#statements.run(
				"UPDATE gateway_mesh_keys SET refused = refused + 1, refused_at = ?, refused_why = ?, offered_key = coalesce(?, offered_key) WHERE mesh_id = ?",
				this.#clock.now(),
				why,
				offered,
				known.mesh_id,
			);
		return { ok: false, why };
	}

	#find(meshId: string): Row | null {
		return this.#statements.all<Row>("SELECT * FROM gateway_mesh_keys WHERE mesh_id = ?", meshId)[0] ?? null;
	}
}
