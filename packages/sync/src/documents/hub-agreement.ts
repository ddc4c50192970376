import type { UserId } from "@warren/kernel";
import type { Kysely } from "kysely";
import type { SyncTables } from "./schema.ts";

/** At a sidecar: what its list and the hub's had in common last, so that it can be told on which side something is news. */
export class HubAgreement {
	readonly #db: Kysely<SyncTables>;

	constructor(db: Kysely<SyncTables>) {
		this.#db = db;
	}

	/** Own documents' titles as they last were here and at the hub alike; null = never yet. */
	async titles(user: UserId): Promise<ReadonlyMap<string, string | null>> {
		const rows = await this.#db
			.selectFrom("sync_documents")
			.select(["id", "hub_title"])
			.where("owner", "=", user)
			.where("deleted_at", "is", null)
			.execute();
		return new Map(rows.map((row) => [row.id, row.hub_title]));
	}

	/** This is its title here and at the hub now. */
	async title(id: string, title: string): Promise<void> {
		await this.#db.updateTable("sync_documents").set({ title, hub_title: title }).where("id", "=", id).execute();
	}

	/** What the hub had, and was deleted here: it has not been told of these. */
	async deletedHere(user: UserId): Promise<readonly string[]> {
		const rows = await this.#db
			.selectFrom("sync_documents")
			.select("id")
			.where("owner", "=", user)
			.where("deleted_at", "is not", null)
			.where("hub_title", "is not", null)
			.execute();
		return rows.map((row) => row.id);
	}

	/** It is gone here, and the hub need not be told (any more). */
	async deleted(id: string): Promise<void> {
		await this.#db.updateTable("sync_documents").set({ hub_title: null }).where("id", "=", id).execute();
	}

	/**
	 * Everything of one account becomes another's: whoever moves to another hub is somebody else there. Nothing is agreed
	 * with that hub yet, so all of it is offered to it. @returns how many documents.
	 */
	async moveAll(from: UserId, to: UserId): Promise<number> {
		const moved = await this.#db
			.updateTable("sync_documents")
			.set({ owner: to as string, hub_title: null })
			.where("owner", "=", from)
			.executeTakeFirst();
		return Number(moved.numUpdatedRows);
	}
}
