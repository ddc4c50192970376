import { ApiError } from "./exchange.ts";
import type { DocumentRecord } from "./hub-types.ts";

/** What was made, renamed or deleted on this device while the hub could not be told. */
export interface PendingDocument {
	readonly id: string;
	/** null = as the hub has it: deleted, and not renamed before. */
	readonly title: string | null;
	/** Made here; else renamed or deleted alone. */
	readonly made: boolean;
	readonly deleted: boolean;
	/** Milliseconds since the Unix epoch. */
	readonly at: number;
}

/** In the list. */
export interface ListedDocument extends DocumentRecord {
	/** It goes when the hub is back, and can be kept until then. */
	readonly deletionWaits?: true;
}

type Ask = (path: string, options: { method: "POST" | "PATCH" | "DELETE"; body?: unknown }) => Promise<unknown>;

/** More than somebody makes in a day without a hub; above it making one is refused. */
export const maxPendingDocuments = 500;

const storageKey = (userId: string) => `warren.documents.pending.v1.${userId}`;

/** Kept by account, so that a reload without the hub loses nothing. */
export class PendingDocuments {
	readonly #storage: Pick<Storage, "getItem" | "setItem" | "removeItem">;
	#settling: Promise<void> | null = null;

	constructor(storage: Pick<Storage, "getItem" | "setItem" | "removeItem">) {
		this.#storage = storage;
	}

	list(userId: string): readonly PendingDocument[] {
		try {
			const parsed: unknown = JSON.parse(this.#storage.getItem(storageKey(userId)) ?? "[]");
			return Array.isArray(parsed) ? parsed.flatMap(pendingOf) : [];
		} catch {
			// Unreadable or refused: as if nothing waited.
			return [];
		}
	}

	isMade(userId: string, id: string): boolean {
		return this.list(userId).some((each) => each.id === id && each.made);
	}

	/** @throws DOMException when this browser keeps nothing; Error above `maxPendingDocuments`. */
	put(userId: string, change: { id: string; title: string; made: boolean; at: number }): void {
		const standing = this.#standing(userId, change.id);
		this.#replace(userId, { ...change, made: change.made || standing?.made === true, deleted: false });
	}

	/** Deletes it once the hub is there. @throws as `put`. */
	delete(userId: string, id: string, at: number): void {
		const { title = null, made = false } = this.#standing(userId, id) ?? {};
		this.#replace(userId, { id, title, made, deleted: true, at });
	}

	/** It is not to be deleted after all; what else waited for it waits on. */
	undelete(userId: string, id: string): void {
		const standing = this.#standing(userId, id);
		if (standing?.deleted !== true) return;
		if (standing.title === null) this.#keep(userId, this.#others(userId, id));
		else this.#replace(userId, { ...standing, deleted: false });
	}

	/** What waits, in the list. */
	applied(userId: string, rooms: readonly DocumentRecord[]): ListedDocument[] {
		const pending = new Map(this.list(userId).map((each) => [each.id, each]));
		const listed = new Set(rooms.map((each) => each.id));
		const made = [...pending.values()].flatMap(({ id, title, at, made: isMade }) =>
			isMade && title !== null && !listed.has(id) ? [recordOf(userId, id, title, at)] : [],
		);
		return [...made, ...rooms].map((each) => {
			const { id, title, owner, access, createdAt, updatedAt } = each;
			const waiting = pending.get(id);
			const record = { id, title: waiting?.title ?? title, owner, access, createdAt, updatedAt };
			return waiting?.deleted === true ? { ...record, deletionWaits: true } : record;
		});
	}

	/**
	 * Tells the hub, in order. What it refuses for good is let go.
	 * @param onDeleted the hub has deleted this one.
	 * @throws ApiError while it is away: the rest waits on.
	 */
	settle(userId: string, ask: Ask, onDeleted: (id: string) => void = () => {}): Promise<void> {
		this.#settling ??= this.#settle(userId, ask, onDeleted).finally(() => {
			this.#settling = null;
		});
		return this.#settling;
	}

	forget(userId: string): void {
		this.#storage.removeItem(storageKey(userId));
	}

	async #settle(userId: string, ask: Ask, onDeleted: (id: string) => void): Promise<void> {
		for (const each of this.list(userId)) {
			try {
				await tell(each, ask);
				if (each.deleted) onDeleted(each.id);
			} catch (failure) {
				if (!isRefusal(failure)) throw failure;
			}
			const left = this.list(userId).flatMap((other) => {
				if (other.id !== each.id) return [other];
				const isTold = each.deleted || (other.title === each.title && !other.deleted);
				// Renamed again or deleted meanwhile: that waits for the next time.
				return isTold ? [] : [{ ...other, made: false }];
			});
			this.#keep(userId, left);
		}
	}

	#standing(userId: string, id: string): PendingDocument | undefined {
		return this.list(userId).find((each) => each.id === id);
	}

	#others(userId: string, id: string): PendingDocument[] {
		return this.list(userId).filter((each) => each.id !== id);
	}

	#replace(userId: string, change: PendingDocument): void {
		const others = this.#others(userId, change.id);
		if (this.#standing(userId, change.id) === undefined && others.length >= maxPendingDocuments)
			throw new Error(`${maxPendingDocuments} documents wait for the hub already.`);
		this.#keep(userId, [...others, change]);
	}

	#keep(userId: string, pending: readonly PendingDocument[]): void {
		if (pending.length === 0) this.forget(userId);
		else this.#storage.setItem(storageKey(userId), JSON.stringify(pending));
	}
}

async function tell({ id, title, made, deleted }: PendingDocument, ask: Ask): Promise<void> {
	const path = `/rooms/${encodeURIComponent(id)}`;
	if (deleted) {
		try {
			// Also one that was made here: its text, or an earlier try, may have reached the hub.
			return void (await ask(path, { method: "DELETE" }));
		} catch (failure) {
			// Gone already, or never there.
			if (failure instanceof ApiError && failure.status === 404) return;
			throw failure;
		}
	}
	const rename = () => ask(path, { method: "PATCH", body: { title } });
	if (!made) return void (await rename());
	try {
		await ask("/rooms", { method: "POST", body: { id, title } });
	} catch (failure) {
		// Its text was there first, or the answer to the last try was lost.
		if (failure instanceof ApiError && failure.status === 409) await rename();
		else throw failure;
	}
}

/** The hub cannot be told now, and may be later. */
export function isAway(failure: unknown): boolean {
	return failure instanceof ApiError && (failure.status === 0 || failure.status >= 502);
}

/** A no that coming back does not change; a session that ended is none. */
function isRefusal(failure: unknown): boolean {
	return failure instanceof ApiError && [400, 403, 404, 409, 422].includes(failure.status);
}

function recordOf(owner: string, id: string, title: string, at: number): DocumentRecord {
	return { id, title, owner, access: "owner", createdAt: at, updatedAt: at };
}

/** Those of a version that could not delete have no `deleted`. */
function pendingOf(value: unknown): PendingDocument[] {
	const { id, title, made, at, deleted = false } = (value ?? {}) as Partial<Record<keyof PendingDocument, unknown>>;
	if (typeof id !== "string" || typeof made !== "boolean" || typeof at !== "number") return [];
	if (typeof deleted !== "boolean" || !(typeof title === "string" || (title === null && deleted))) return [];
	return [{ id, title, made, at, deleted }];
}
