import { type Clock, type Identity, newId, type Random, systemRandom, type UserId } from "@warren/kernel";
import type { Kysely } from "kysely";
import { syncError } from "../errors.ts";
import { HubAgreement } from "./hub-agreement.ts";
import type { RoomAccess, RoomPermit } from "./room-access.ts";
import { isRoomId, roomIdFault } from "./room-id.ts";
import type { SyncTables } from "./schema.ts";

export const documentLimits = {
	maxPerUser: 10_000,
	maxSharesPerDocument: 200,
	maxTitleLength: 200,
} as const;

export type DocumentAccess = "owner" | "read-write" | "read-only";

export interface DocumentRecord {
	readonly id: string;
	readonly title: string;
	readonly owner: string;
	readonly access: DocumentAccess;
	readonly createdAt: number;
	readonly updatedAt: number;
}

export interface DocumentShare {
	readonly user: string;
	readonly access: "read-only" | "read-write";
	readonly createdAt: number;
}

export interface DocumentsListDeps {
	readonly db: Kysely<SyncTables>;
	readonly clock: Clock;
	readonly random?: Random;
	/** Somebody's access to a document changed or ended (`null`): what they have open must close. */
	readonly onAccessChanged?: (document: string, user: string, access: DocumentAccess | null) => void;
	/** These people's lists changed: a document was made, renamed, deleted or shared. */
	readonly onListChanged?: (users: readonly string[]) => void;
}

/** Remembered; one more, and all documents count as changed. */
const maxRevisions = 10_000;

/** Which documents there are, whose they are, and with whom they are shared. Knows nothing of their content. */
export class DocumentsList implements RoomAccess {
	/** At a sidecar, with its hub. */
	readonly agreement: HubAgreement;
	readonly #db: Kysely<SyncTables>;
	readonly #clock: Clock;
	readonly #random: Random;
	readonly #onAccessChanged: NonNullable<DocumentsListDeps["onAccessChanged"]>;
	readonly #onListChanged: NonNullable<DocumentsListDeps["onListChanged"]>;
	#revision = 0;
	/** Of documents whose access has changed, the last ones. */
	readonly #revisions = new Map<string, number>();
	#revisionOfOthers = 0;

	constructor(deps: DocumentsListDeps) {
		this.#db = deps.db;
		this.agreement = new HubAgreement(deps.db);
		this.#clock = deps.clock;
		this.#random = deps.random ?? systemRandom;
		this.#onAccessChanged = deps.onAccessChanged ?? (() => {});
		this.#onListChanged = deps.onListChanged ?? (() => {});
	}

	revisionOf(id: string): number {
		return this.#revisions.get(id) ?? this.#revisionOfOthers;
	}

	/** A document that does not exist yet is made for whoever comes first: so does an unmodified client make one. */
	async permit(identity: Identity | null, id: string): Promise<RoomPermit> {
		const fault = roomIdFault(id);
		if (fault !== null) throw fault;
		const user = userOf(identity);
		const document = (await this.#find(user, id)) ?? (await this.create(user, { id, title: id }));
		const access = document.access === "read-only" ? "read-only" : "read-write";
		return { room: id, access, keepsUpdates: true };
	}

	/** Own and shared ones, the last changed first. */
	async list(user: UserId): Promise<DocumentRecord[]> {
		const own = await this.#db
			.selectFrom("sync_documents")
			.selectAll()
			.where("owner", "=", user)
			.where("deleted_at", "is", null)
			.execute();
		const shared = await this.#db
			.selectFrom("sync_documents")
			.innerJoin("sync_shares", "sync_shares.document", "sync_documents.id")
			.selectAll("sync_documents")
			.select("sync_shares.access")
			.where("sync_shares.user", "=", user)
			.execute();
		return [
			...own.map((row) => record(row, "owner")),
			...shared.map((row) => record(row, row.access as DocumentAccess)),
		].sort((a, b) => b.updatedAt - a.updatedAt || (a.id < b.id ? -1 : 1));
	}

	/** @throws WarrenError `bad_room`, `document_exists`, `too_many`. */
	async create(user: UserId, wanted: { readonly id?: string; readonly title: string }): Promise<DocumentRecord> {
		const id = wanted.id ?? newId(this.#random);
		const fault = roomIdFault(id);
		if (fault !== null) throw fault;
		const { count } = await this.#db
			.selectFrom("sync_documents")
			.select((each) => each.fn.countAll<number>().as("count"))
			.where("owner", "=", user)
			.where("deleted_at", "is", null)
			.executeTakeFirstOrThrow();
		if (count >= documentLimits.maxPerUser) {
			throw syncError("too_many", `You have ${count} documents already.`, { fix: "Delete one that you do not need." });
		}
		const now = this.#clock.now();
		const row = {
			id,
			owner: user as string,
			title: wanted.title,
			created_at: now,
			updated_at: now,
			deleted_at: null,
			hub_title: null,
		};
		const done = await this.#db
			.insertInto("sync_documents")
			.values(row)
			.onConflict((conflict) => conflict.doNothing())
			.executeTakeFirst();
		if (done.numInsertedOrUpdatedRows === 0n) {
			// Two of one user's devices may have made it at the same moment.
			const standing = await this.#find(user, id);
			if (standing !== null && wanted.id !== undefined && wanted.title === id) return standing;
			throw syncError("document_exists", `There is a document "${id}" already.`);
		}
		this.#onListChanged([user]);
		return record(row, "owner");
	}

	/** @throws WarrenError `bad_room`, `unknown_document`, `document_forbidden`. @param needs what they must be able to do. */
	async get(user: UserId, id: string, needs: DocumentAccess = "read-only"): Promise<DocumentRecord> {
		const fault = roomIdFault(id);
		if (fault !== null) throw fault;
		const document = await this.#find(user, id);
		if (document === null) throw syncError("unknown_document", `There is no document "${id}".`);
		if (rank(document.access) < rank(needs)) {
			throw syncError(
				"document_forbidden",
				`You have "${document.access}" access to "${id}", and this needs "${needs}".`,
			);
		}
		return document;
	}

	async rename(user: UserId, id: string, title: string): Promise<DocumentRecord> {
		const document = await this.get(user, id, "read-write");
		// Another instance dated it before: between two clocks it never goes back.
		const updated_at = Math.max(this.#clock.now(), document.updatedAt);
		await this.#db.updateTable("sync_documents").set({ title, updated_at }).where("id", "=", id).execute();
		this.#onListChanged(await this.#peopleOf(document));
		return { ...document, title, updatedAt: updated_at };
	}

	/** Everything of one account becomes another's. @returns how many documents. */
	async moveAll(from: UserId, to: UserId): Promise<number> {
		const count = await this.agreement.moveAll(from, to);
		this.#reviseAll();
		return count;
	}

	/** The list forgets it at once, and its id is used up; its bytes are the caller's to drop. */
	async delete(user: UserId, id: string): Promise<void> {
		const people = await this.#peopleOf(await this.get(user, id, "owner"));
		await this.#db.deleteFrom("sync_shares").where("document", "=", id).execute();
		await this.#db.updateTable("sync_documents").set({ deleted_at: this.#clock.now() }).where("id", "=", id).execute();
		this.#revise(id);
		this.#onListChanged(people);
	}

	async shares(user: UserId, id: string): Promise<DocumentShare[]> {
		await this.get(user, id, "owner");
		const rows = await this.#db.selectFrom("sync_shares").selectAll().where("document", "=", id).execute();
		return rows.map((row) => ({
			user: row.user,
			access: row.access as DocumentShare["access"],
			createdAt: row.created_at,
		}));
	}

	/** @throws WarrenError `too_many`, and those of `get`. */
	async share(user: UserId, id: string, withUser: string, access: DocumentShare["access"]): Promise<DocumentShare> {
		const before = await this.shares(user, id);
		const standing = before.find((each) => each.user === withUser);
		if (withUser === user)
			throw syncError("document_forbidden", "This document is yours: it needs no share.", { fix: "" });
		if (standing === undefined && before.length >= documentLimits.maxSharesPerDocument) {
			throw syncError("too_many", `"${id}" is shared with ${before.length} people already.`);
		}
		const createdAt = this.#clock.now();
		await this.#db
			.insertInto("sync_shares")
			.values({ document: id, user: withUser, access, created_at: createdAt })
			.onConflict((conflict) => conflict.columns(["document", "user"]).doUpdateSet({ access }))
			.execute();
		if (standing?.access !== access) this.#changed(id, withUser, access);
		return { user: withUser, access, createdAt: standing?.createdAt ?? createdAt };
	}

	async unshare(user: UserId, id: string, withUser: string): Promise<void> {
		await this.get(user, id, "owner");
		await this.#db.deleteFrom("sync_shares").where("document", "=", id).where("user", "=", withUser).execute();
		this.#changed(id, withUser, null);
	}

	/** Another instance over the same tables changed somebody's access. @param document null = nobody knows to which. */
	changedElsewhere(document: string | null): void {
		if (document === null) this.#reviseAll();
		else this.#revise(document);
	}

	/** Who may do what with these documents, by document and user; deleted ones are left out. */
	async rightsTo(documents: readonly string[]): Promise<ReadonlyMap<string, ReadonlyMap<string, DocumentAccess>>> {
		const rights = new Map<string, Map<string, DocumentAccess>>();
		if (documents.length === 0) return rights;
		const rows = await this.#db
			.selectFrom("sync_documents")
			.select(["id", "owner"])
			.where("id", "in", documents)
			.where("deleted_at", "is", null)
			.execute();
		for (const { id, owner } of rows) rights.set(id, new Map([[owner, "owner"]]));
		const shares = await this.#db.selectFrom("sync_shares").selectAll().where("document", "in", documents).execute();
		for (const share of shares) rights.get(share.document)?.set(share.user, share.access as DocumentAccess);
		return rights;
	}

	/** Its content changed. */
	async touch(id: string): Promise<void> {
		const updated_at = this.#clock.now();
		await this.#db
			.updateTable("sync_documents")
			.set({ updated_at })
			.where("id", "=", id)
			.where("updated_at", "<", updated_at)
			.execute();
	}

	/** @throws WarrenError `document_forbidden` when it exists and is not theirs to see. */
	async #find(user: UserId, id: string): Promise<DocumentRecord | null> {
		if (!isRoomId(id)) return null;
		const row = await this.#db.selectFrom("sync_documents").selectAll().where("id", "=", id).executeTakeFirst();
		if (row === undefined) return null;
		if (row.deleted_at !== null) throw syncError("unknown_document", `The document "${id}" was deleted.`);
		if (row.owner === user) return record(row, "owner");
		const share = await this.#db
			.selectFrom("sync_shares")
			.select("access")
			.where("document", "=", id)
			.where("user", "=", user)
			.executeTakeFirst();
		if (share === undefined) throw syncError("document_forbidden", `The document "${id}" is not shared with you.`);
		return record(row, share.access as DocumentAccess);
	}

	#revise(document: string): void {
		if (this.#revisions.size >= maxRevisions) this.#reviseAll();
		this.#revision += 1;
		this.#revisions.set(document, this.#revision);
	}

	#reviseAll(): void {
		this.#revision += 1;
		this.#revisionOfOthers = this.#revision;
		this.#revisions.clear();
	}

	#changed(document: string, user: string, access: DocumentAccess | null): void {
		this.#revise(document);
		this.#onAccessChanged(document, user, access);
		this.#onListChanged([user]);
	}

	/** In whose lists it is. */
	async #peopleOf({ id, owner }: DocumentRecord): Promise<string[]> {
		const shares = await this.#db.selectFrom("sync_shares").select("user").where("document", "=", id).execute();
		return [owner, ...shares.map(({ user }) => user)];
	}
}

/** Documents are people's: no other identity has any. @throws WarrenError `document_forbidden`. */
export function userOf(identity: Identity | null): UserId {
	if (identity?.kind === "user") return identity.userId;
	throw syncError("document_forbidden", "Documents belong to people: sign in with your account.", { fix: "" });
}

function record(row: SyncTables["sync_documents"], access: DocumentAccess): DocumentRecord {
	const { id, title, owner, created_at: createdAt, updated_at: updatedAt } = row;
	return { id, title, owner, access, createdAt, updatedAt };
}

function rank(access: DocumentAccess): number {
	return access === "owner" ? 2 : access === "read-write" ? 1 : 0;
}
