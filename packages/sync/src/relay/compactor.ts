import { type Clock, closeCodes, type Logger, messageOf } from "@warren/kernel";
import { syncError } from "../errors.ts";
import type { UpdateLog } from "../log/update-log.ts";
import type { RoomExchange } from "../shared/room-exchange.ts";
import type { DocumentWork } from "../worker/document-work.ts";
import type { PreparedSyncs } from "./prepared-syncs.ts";
import { relayLimits } from "./relay-limits.ts";
import type { RelayRoom } from "./relay-room.ts";

export interface CompactorDeps {
	readonly log: UpdateLog;
	readonly documents: DocumentWork;
	readonly prepared: PreparedSyncs;
	readonly clock: Clock;
	readonly logger: Logger;
	readonly onQuarantined: (room: string, reason: string) => void;
	/** Where several relays share the log. */
	readonly exchange?: RoomExchange;
}

interface History {
	readonly running: Promise<void> | null;
	readonly notBefore: number;
	readonly failures: number;
}

/** Failures that are not the document's fault, after which it is taken for one: it ends the worker each time. */
const maxFailures = 3;

/** Turns tails into snapshots, in the worker, and keeps checkpoints. A room that cannot be compacted is quarantined. */
export class Compactor {
	readonly #deps: CompactorDeps;
	readonly #history = new Map<string, History>();

	constructor(deps: CompactorDeps) {
		this.#deps = deps;
	}

	/** Starts a compaction when it is worth while. */
	consider(room: RelayRoom): void {
		if (!isDue(room)) return;
		const history = this.#history.get(room.room);
		if (history?.running || (history?.notBefore ?? 0) > this.#deps.clock.monotonic()) return;
		void this.compact(room, { leased: true });
	}

	/**
	 * @param options.leased only when no other relay is at it: what is housekeeping needs to be done once.
	 * @returns when it is done, or was found not to be possible. Never rejects.
	 */
	compact(room: RelayRoom, options: { readonly leased: boolean } = { leased: false }): Promise<void> {
		const history = this.#history.get(room.room) ?? { running: null, notBefore: 0, failures: 0 };
		if (history.running !== null) return history.running;
		const startedAt = this.#deps.clock.monotonic();
		const running = this.#claimed(room, options.leased).then((outcome) => {
			const now = this.#deps.clock.monotonic();
			const restMs = Math.min((now - startedAt) * relayLimits.compactRestFactor, relayLimits.maxCompactRestMs);
			const notBefore = now + restMs;
			const failures = outcome === "failed" ? history.failures + 1 : 0;
			this.#history.set(room.room, { running: null, notBefore, failures });
			if (failures >= maxFailures) void this.quarantine(room, "it cannot be worked on within the limits");
		});
		this.#history.set(room.room, { ...history, running });
		return running;
	}

	forget(room: string): void {
		if (this.#history.get(room)?.running === null) this.#history.delete(room);
	}

	/** Its sockets close, its bytes stay, the others go on (S16). */
	async quarantine(room: RelayRoom, reason: string): Promise<void> {
		this.#deps.onQuarantined(room.room, reason);
		const message = `this document is damaged: ${reason}`;
		room.end(closeCodes.unavailable, "quarantined", message);
		this.#deps.exchange?.tell(room.room, {
			type: "ended",
			code: closeCodes.unavailable,
			error: "quarantined",
			message,
		});
		try {
			await this.#deps.log.quarantine(room.room, reason);
		} catch (fault) {
			this.#deps.logger.error("a quarantine was not written", { room: room.room, fault: messageOf(fault) });
		}
	}

	async #claimed(room: RelayRoom, leased: boolean): Promise<"done" | "failed"> {
		const { exchange } = this.#deps;
		if (exchange === undefined || !leased) return this.#compact(room);
		const lease = await exchange.claimCompaction(room.room);
		if (lease === null) return "done";
		try {
			return await this.#compact(room);
		} finally {
			await lease.close();
		}
	}

	async #compact(room: RelayRoom, attempt = 1): Promise<"done" | "failed"> {
		const { log, documents, prepared, logger, exchange } = this.#deps;
		try {
			const head = await log.head(room.room);
			room.tail = { ...head.tail };
			if (head.tail.count === 0) return "done";
			const outcome = await documents.run(async () => ({
				kind: "compact",
				updates: await readAll(log, room.room, head.head),
			}));
			if (!outcome.ok) {
				if (outcome.why === "poison") await this.quarantine(room, outcome.message);
				return outcome.why === "failed" ? "failed" : "done";
			}
			const { result } = outcome;
			const swapped = await log.compact(room.room, { upto: head.head, ...result }, head.snapshot?.upto ?? 0);
			// Another relay put one there, perhaps of an earlier state than was asked for.
			if (!swapped) return attempt < maxSwaps ? this.#compact(room, attempt + 1) : "done";
			prepared.forget(room.room);
			exchange?.tell(room.room, { type: "compacted", upto: head.head, snapshotBytes: result.update.length });
			const after = await log.head(room.room);
			room.tail = { ...after.tail };
			room.snapshotBytes = result.update.length;
			await this.#checkpoint(room.room, result.hash);
			return "done";
		} catch (fault) {
			logger.warn("a document was not compacted", { room: room.room, fault: messageOf(fault) });
			return "done";
		}
	}

	async #checkpoint(room: string, hash: string): Promise<void> {
		const { log, clock } = this.#deps;
		const [last] = await log.checkpoints(room);
		const now = clock.now();
		if (last !== undefined && (last.hash === hash || last.at + relayLimits.checkpointEveryMs > now)) return;
		await log.checkpoint(room, "periodic", now, relayLimits.keptCheckpoints);
	}
}

/** Compactions of others that came first, after which this one gives up. */
const maxSwaps = 3;

/**
 * Snapshot first, then the tail, in order; all from one state of the log.
 * @param upto the last update that is wanted: others may append meanwhile.
 */
export async function readAll(log: UpdateLog, room: string, upto = Number.MAX_SAFE_INTEGER): Promise<Uint8Array[]> {
	for (let attempt = 0; attempt < maxAttempts; attempt++) {
		const before = await log.head(room);
		const snapshot = await log.snapshot(room);
		const tail = await log.read(room, before.snapshot?.upto ?? 0, Number.MAX_SAFE_INTEGER);
		const after = await log.head(room);
		if (before.snapshot?.upto !== after.snapshot?.upto) continue;
		return [
			...(snapshot === null ? [] : [snapshot]),
			...tail.filter((each) => each.seq <= upto).map((each) => each.update),
		];
	}
	throw syncError("overloaded", `The document "${room}" is being compacted over and over.`);
}

/** Compactions that may come in between, one after another, before a reader gives up. */
const maxAttempts = 5;

function isDue(room: RelayRoom): boolean {
	const { count, bytes } = room.tail;
	const share = room.snapshotBytes === 0 ? 1 : bytes / room.snapshotBytes;
	if (count >= relayLimits.compactAlwaysAtUpdates) return true;
	if (count >= relayLimits.compactAtUpdates && share >= relayLimits.compactAtLeastShare) return true;
	return bytes >= relayLimits.compactAtBytes && share >= relayLimits.compactAtShare;
}
