import type { DBAdapter, DBTransactionAdapter, Where } from "@better-auth/core/db/adapter";
import { APIError } from "@better-auth/core/error";
import { hashToken } from "@warren/kernel";
import { noteFault } from "./request-facts.ts";

/** What somebody outside the library must know of its writes. */
export interface AuthWatcher {
	/** Sessions that were deleted, after the commit; the write is answered when this has settled. */
	sessionsGone(sessions: readonly GoneSession[]): Promise<void>;
	/** A person's row changed: name, role, ban. */
	userChanged(user: { readonly id: string; readonly banned: boolean }): void;
	/** A person's row was deleted, and their API keys with it. */
	userGone(user: { readonly id: string }): void;
	/** API keys that were deleted or switched off. */
	keysGone(keys: readonly { readonly id: string; readonly referenceId: string }[]): void;
}

export interface GoneSession {
	readonly id: string;
	readonly userId: string;
	/** A session that ran out was not taken from anybody. */
	readonly expiresAt: Date;
}

/** The library would list 100 unless told. */
const maxSessionsAtOnce = 100_000;

/** API keys of one person. The library lists no more than so many: a key beyond would be good, and nobody could find it. */
export const maxApiKeys = 100;

/** Model → the column that is a bearer secret. The library keeps both in the clear. */
const secretFields: Readonly<Record<string, string>> = { session: "token", deviceCode: "deviceCode" };

/**
 * Better Auth's database adapter with its bearer secrets hashed at rest: SHA-256 on every write and in every condition,
 * the raw value given back only to whoever brought it. What is listed carries hashes, and a hash looks nothing up.
 */
export function hashedAdapter(inner: DBAdapter, watcher: AuthWatcher): DBAdapter {
	return {
		...inner,
		...noting(hashed(inner, async (tell) => tell(), watcher)),
		transaction: async (callback) => {
			const untold: Tell[] = [];
			const result = await inner.transaction((transaction) =>
				callback({
					...transaction,
					...noting(hashed(transaction, async (tell) => void untold.push(tell), watcher)),
				} as DBTransactionAdapter),
			);
			// All are told, whatever one of them comes to.
			await Promise.all(untold.map(async (tell) => tell()));
			return result;
		},
	};
}

/** The library keeps some of its faults to itself: whoever answers the request must know of them. */
function noting<T extends object>(methods: T): T {
	const noted = Object.entries(methods).map(([name, method]) => [
		name,
		async (args: unknown) => {
			try {
				return await method(args);
			} catch (fault) {
				noteFault(fault);
				throw fault;
			}
		},
	]);
	return Object.fromEntries(noted) as T;
}

type Tell = () => Promise<void> | void;

/** @param committed calls what tells the watcher, once what it tells of is written. */
function hashed(
	inner: DBTransactionAdapter,
	committed: (tell: Tell) => Promise<void>,
	watcher: AuthWatcher,
): Omit<DBTransactionAdapter, "id"> {
	const told = async (model: string, row: unknown) => {
		const fields = row as Record<string, unknown> | null;
		if (fields === null) return;
		const id = String(fields["id"]);
		if (model === "user") await committed(() => watcher.userChanged({ id, banned: Boolean(fields["banned"]) }));
		if (model === "apikey" && fields["enabled"] === false)
			await committed(() => watcher.keysGone([{ id, referenceId: String(fields["referenceId"]) }]));
	};
	const doomed = (model: string, where: Where[]) =>
		model === "session" || model === "apikey" || model === "user"
			? inner.findMany<GoneSession & { readonly referenceId: string }>({ model, where, limit: maxSessionsAtOnce })
			: Promise.resolve([]);
	const ended = async (model: string, rows: readonly (GoneSession & { readonly referenceId: string })[]) => {
		if (rows.length === 0) return;
		switch (model) {
			case "apikey":
				return committed(() => watcher.keysGone(rows));
			case "session":
				return committed(() => watcher.sessionsGone(rows));
			case "user":
				// The library leaves them, and they would open what is kept of their person.
				for (const { id } of rows)
					await inner.deleteMany({ model: "apikey", where: [{ field: "referenceId", value: id }] });
				return committed(() => rows.forEach(watcher.userGone));
		}
	};
	return {
		create: async (args) => {
			if (args.model === "apikey")
				await refuseOneMore(inner, String((args.data as Record<string, unknown>)["referenceId"]));
			const field = secretFields[args.model];
			const raw = field === undefined ? undefined : (args.data as Record<string, unknown>)[field];
			if (field === undefined || typeof raw !== "string") return inner.create(args);
			const created = await inner.create({ ...args, data: { ...args.data, [field]: hashToken(raw) } });
			return { ...created, [field]: raw } as never;
		},
		findOne: async (args) => restored(args.model, args.where, await inner.findOne({ ...args, where: hash(args) })),
		findMany: (args) => inner.findMany(args.where === undefined ? args : { ...args, where: hash(args) }),
		count: (args) => inner.count(args.where === undefined ? args : { ...args, where: hash(args) }),
		update: async (args) => {
			const field = secretFields[args.model];
			const update = { ...args.update };
			if (field !== undefined && typeof update[field] === "string") update[field] = hashToken(update[field]);
			const row = await inner.update({ ...args, update, where: hash(args) });
			await told(args.model, row);
			return restored(args.model, args.where, row) as never;
		},
		updateMany: (args) => inner.updateMany({ ...args, where: hash(args) }),
		delete: async (args) => {
			const where = hash(args);
			const gone = await doomed(args.model, where);
			await inner.delete({ ...args, where });
			await ended(args.model, gone);
		},
		deleteMany: async (args) => {
			const where = hash(args);
			const gone = await doomed(args.model, where);
			const count = await inner.deleteMany({ ...args, where });
			await ended(args.model, gone);
			return count;
		},
		consumeOne: async (args) => {
			const row = await inner.consumeOne<GoneSession>({ ...args, where: hash(args) });
			if (row !== null && args.model === "session") await committed(() => watcher.sessionsGone([row]));
			return restored(args.model, args.where, row) as never;
		},
		incrementOne: async (args) =>
			restored(args.model, args.where, await inner.incrementOne({ ...args, where: hash(args) })) as never,
	};
}

async function refuseOneMore(inner: DBTransactionAdapter, person: string): Promise<void> {
	const keys = await inner.count({ model: "apikey", where: [{ field: "referenceId", value: person }] });
	if (keys >= maxApiKeys)
		throw new APIError("CONFLICT", { code: "TOO_MANY", message: `You have ${keys} API keys already.` });
}

function hash(args: { readonly model: string; readonly where?: Where[] | undefined }): Where[] {
	const field = secretFields[args.model];
	return (args.where ?? []).map((condition) =>
		condition.field !== field
			? condition
			: {
					...condition,
					value: Array.isArray(condition.value)
						? condition.value.map((each) => hashToken(String(each)))
						: typeof condition.value === "string"
							? hashToken(condition.value)
							: condition.value,
				},
	);
}

/** Whoever asked with the raw value gets it back in the row: the library goes on to write with it. */
function restored<T>(model: string, where: readonly Where[], row: T | null): T | null {
	const field = secretFields[model];
	const asked = where.find((condition) => condition.field === field && (condition.operator ?? "eq") === "eq");
	if (row === null || field === undefined || typeof asked?.value !== "string") return row;
	return { ...row, [field]: asked.value };
}
