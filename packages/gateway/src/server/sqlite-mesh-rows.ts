import type { Statements } from "@warren/store";
import type { MeshRecord } from "../protocol/index.ts";
import { columnsOf, type MeshRow, type MeshRows, recordsOf } from "./gateway-store.ts";

/** Registrations in the gateway's own file. */
export class SqliteMeshRows implements MeshRows {
	readonly #statements: Statements;

	constructor(statements: Statements) {
		this.#statements = statements;
	}

	find(meshId: string): MeshRow | null {
		return this.#statements.all<MeshRow>("SELECT * FROM gateway_meshes WHERE mesh_id = ?", meshId)[0] ?? null;
	}

	count(): number {
		return this.#statements.all<{ count: number }>("SELECT count(*) AS count FROM gateway_meshes")[0]?.count ?? 0;
	}

	insert(row: Pick<MeshRow, "mesh_id" | "name" | "secret" | "public_key">, now: number): boolean {
		return (
			this.#statements.run(
				"INSERT INTO gateway_meshes (mesh_id, name, secret, public_key, durable, rooms, allow, block, created_at) VALUES (?, ?, ?, ?, 0, NULL, NULL, '[]', ?) ON CONFLICT DO NOTHING",
				row.mesh_id,
				row.name,
				row.secret,
				row.public_key,
				now,
			) > 0
		);
	}

	update(row: Pick<MeshRow, "mesh_id" | "name" | "secret" | "public_key">, proved: string): boolean {
		return (
			this.#statements.run(
				"UPDATE gateway_meshes SET name = ?, secret = ?, public_key = ? WHERE mesh_id = ? AND secret = ?",
				row.name,
				row.secret,
				row.public_key,
				row.mesh_id,
				proved,
			) > 0
		);
	}

	/** Those with something kept. */
	records(): MeshRecord[] {
		return recordsOf(
			this.#statements.all<MeshRow>(
				"SELECT * FROM gateway_meshes WHERE durable = 1 OR allow IS NOT NULL OR block <> '[]'",
			),
		);
	}

	save(record: MeshRecord): void {
		const { durable, rooms, allow, block } = columnsOf(record);
		this.#statements.run(
			"UPDATE gateway_meshes SET durable = ?, rooms = ?, allow = ?, block = ? WHERE mesh_id = ?",
			durable,
			rooms,
			allow,
			block,
			record.meshId,
		);
	}
}
