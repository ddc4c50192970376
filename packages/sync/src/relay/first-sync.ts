import { messageOf } from "@warren/kernel";
import { syncError } from "../errors.ts";
import type { RoomHead, UpdateLog } from "../log/update-log.ts";
import { Coverage, emptyUpdate, encodeStep2, encodeUpdate } from "../protocol/index.ts";
import { Writer } from "../protocol/writer.ts";
import type { DocumentWork } from "../worker/document-work.ts";
import { Outgoing } from "./outgoing.ts";
import type { PreparedSyncs } from "./prepared-syncs.ts";
import { relayLimits } from "./relay-limits.ts";
import { TailTree } from "./tail-tree.ts";

/** What one client gets first, and how far it reaches. */
export interface SyncPlan {
	readonly outgoing: readonly Outgoing[];
	readonly upto: number;
}

/** A compaction takes longer than a plan: twice in a row is already unlikely. */
const maxAttempts = 5;

const ofDocument = { ofDocument: true };

export interface FirstSyncDeps {
	readonly log: UpdateLog;
	readonly documents: DocumentWork;
	readonly prepared: PreparedSyncs;
}

/**
 * Plans first syncs of one room without building its document (S8). What joiners share is prepared once: the framed
 * snapshot, the merged tail, the difference for one state vector.
 */
export class FirstSync {
	readonly #deps: FirstSyncDeps;
	readonly #room: string;
	#tail = new TailTree();
	#tailFrom = -1;
	#tailUpto = -1;
	#snapshotCoverage: { readonly upto: number; readonly coverage: Coverage } | null = null;

	constructor(deps: FirstSyncDeps, room: string) {
		this.#deps = deps;
		this.#room = room;
	}

	/** Two plans at a time would read the tail twice: the caller runs them one after another. */
	async plan(clocks: ReadonlyMap<number, number>): Promise<SyncPlan> {
		for (let attempt = 0; attempt < maxAttempts; attempt++) {
			const plan = await this.#plan(clocks);
			if (plan !== null) return plan;
			this.forget();
		}
		throw syncError("overloaded", `The document "${this.#room}" is being compacted over and over.`);
	}

	/** @returns null when a compaction came in between: what was read of before and after does not fit together. */
	async #plan(clocks: ReadonlyMap<number, number>): Promise<SyncPlan | null> {
		const head = await this.#deps.log.head(this.#room);
		const first = head.snapshot === null ? [] : await this.#snapshotFor(head.snapshot, clocks);
		const upto = await this.#readTail(head);
		if (upto === null) return null;
		const last = await this.#deps.prepared.get(`${this.#room}\n${this.#tailFrom}\ntail ${upto}`, async () =>
			answerOf(this.#tail),
		);
		return { outgoing: [...first, last], upto };
	}

	/** Nobody is here: what is shared will be read again. */
	forget(): void {
		this.#tail = new TailTree();
		this.#tailFrom = -1;
		this.#snapshotCoverage = null;
	}

	async #snapshotFor(
		meta: NonNullable<RoomHead["snapshot"]>,
		clocks: ReadonlyMap<number, number>,
	): Promise<readonly Outgoing[]> {
		const key = `${this.#room}\n${meta.upto}`;
		const whole = () =>
			this.#deps.prepared.get(`${key}\nsnapshot`, async () => {
				const update = (await this.#deps.log.snapshot(this.#room)) ?? emptyUpdate;
				return new Outgoing([encodeUpdate(update)], ofDocument);
			});
		if (clocks.size === 0 || meta.bytes <= relayLimits.wholeSnapshotBytes) return [await whole()];
		if (this.#coverageOf(meta).isWithin(clocks)) {
			const deletes = await this.#deps.prepared.get(
				`${key}\ndeletes`,
				async () => new Outgoing([encodeUpdate(this.#coverageOf(meta).deleteUpdate())], ofDocument),
			);
			return [deletes];
		}
		const difference = await this.#difference(key, clocks);
		return [difference ?? (await whole())];
	}

	/** Null when the worker is busy or fails: the whole snapshot is right too. */
	async #difference(key: string, clocks: ReadonlyMap<number, number>): Promise<Outgoing | null> {
		const stateVector = encodeClocks(clocks);
		const named = `${key}\ndifference ${Buffer.from(stateVector).toString("base64")}`;
		const { prepared, documents, log } = this.#deps;
		if (!prepared.has(named) && prepared.preparing >= relayLimits.maxWaitingDifferences) return null;
		return prepared.get(named, async () => {
			const outcome = await documents.run(async () => ({
				kind: "difference",
				update: (await log.snapshot(this.#room)) ?? emptyUpdate,
				stateVector,
			}));
			return outcome.ok ? new Outgoing([encodeUpdate(outcome.result)], ofDocument) : null;
		});
	}

	/** @returns how far the tail reaches, or null when a part of it is not there any more. */
	async #readTail(head: RoomHead): Promise<number | null> {
		const from = head.snapshot?.upto ?? 0;
		if (this.#tailFrom !== from) {
			this.#tail = new TailTree();
			this.#tailFrom = from;
			this.#tailUpto = from;
		}
		while (this.#tailUpto < head.head) {
			const updates = await this.#deps.log.read(this.#room, this.#tailUpto, relayLimits.readAheadBytes);
			if (updates[0]?.seq !== this.#tailUpto + 1) return null;
			for (const { seq, update } of updates) {
				this.#tail.add(update);
				this.#tailUpto = seq;
			}
		}
		return this.#tailUpto;
	}

	#coverageOf(meta: NonNullable<RoomHead["snapshot"]>): Coverage {
		if (this.#snapshotCoverage?.upto !== meta.upto) {
			this.#snapshotCoverage = { upto: meta.upto, coverage: Coverage.decode(meta.coverage) };
		}
		return this.#snapshotCoverage.coverage;
	}
}

function answerOf(tail: TailTree): Outgoing {
	if (tail.isLong) return new Outgoing([...tail.parts.map(encodeUpdate), encodeStep2(emptyUpdate)], ofDocument);
	try {
		return new Outgoing([encodeStep2(tail.merged())], ofDocument);
	} catch (cause) {
		throw new Error(`the updates since the snapshot cannot be merged: ${messageOf(cause)}`, { cause });
	}
}

/** Sorted, so that equal clocks are one difference. */
function encodeClocks(clocks: ReadonlyMap<number, number>): Uint8Array {
	const writer = new Writer();
	writer.varUint(clocks.size);
	for (const [client, clock] of [...clocks].sort(([a], [b]) => a - b)) {
		writer.varUint(client);
		writer.varUint(clock);
	}
	return writer.take();
}
