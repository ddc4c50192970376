import { closeCodes } from "@warren/kernel";
import { syncError } from "../errors.ts";
import type { Checkpoint } from "../log/update-log.ts";
import { Coverage, readUpdate } from "../protocol/index.ts";
import { readAll } from "../relay/compactor.ts";
import { relayLimits } from "../relay/relay-limits.ts";
import type { SyncRelay } from "../relay/sync-relay.ts";
import type { DocumentContents, DocumentFacts } from "./document-contents.ts";

/** A document's past and its export: everything about its content that is asked for rarely. */
export class DocumentHistory implements DocumentContents {
	readonly #relay: SyncRelay;
	readonly #now: () => number;

	constructor(relay: SyncRelay, now: () => number) {
		this.#relay = relay;
		this.#now = now;
	}

	async facts(room: string): Promise<DocumentFacts> {
		const { head, quarantine, snapshot, tail } = await this.#relay.log.head(room);
		return { bytes: tail.bytes + (snapshot?.bytes ?? 0), updates: head, quarantine };
	}

	drop(room: string): Promise<void> {
		return this.#relay.drop(room);
	}

	checkpoints(room: string): Promise<Checkpoint[]> {
		return this.#relay.log.checkpoints(room);
	}

	/** Of the document as it stands. @returns null when it is empty. */
	async checkpoint(room: string, label: string): Promise<Checkpoint | null> {
		const opened = await this.#relay.open(room);
		await this.#relay.flush();
		await this.#relay.compactor.compact(opened);
		return this.#relay.log.checkpoint(room, label, this.#now(), relayLimits.keptCheckpoints);
	}

	/** @throws WarrenError `unknown_checkpoint`. */
	async checkpointUpdate(room: string, id: number): Promise<Uint8Array> {
		const update = await this.#relay.log.checkpointUpdate(room, id);
		if (update === null) throw syncError("unknown_checkpoint", `"${room}" has no checkpoint ${id}.`);
		return update;
	}

	/**
	 * Brings the content back, as an edit that every client merges; the state before is kept as a checkpoint. A
	 * quarantined document is set to the checkpoint instead, and opens again.
	 */
	async restore(room: string, id: number, actor: string): Promise<void> {
		const to = await this.checkpointUpdate(room, id);
		const head = await this.#relay.log.head(room);
		if (head.quarantine !== null) return this.#replace(room, to, id);
		await this.checkpoint(room, `before restoring ${id}`);
		const update = await this.#relay.documents.need(async () => ({
			kind: "revert",
			updates: await readAll(this.#relay.log, room),
			to,
		}));
		await this.#relay.insert(room, update, actor);
	}

	/** The whole document as one update. */
	async update(room: string): Promise<Uint8Array> {
		await this.#relay.flush();
		return (await this.#compacted(room)).update;
	}

	async json(room: string): Promise<unknown> {
		await this.#relay.flush();
		return this.#relay.documents.need(async () => ({ kind: "json", updates: await readAll(this.#relay.log, room) }));
	}

	/** Equal for equal documents: for finding out whether a client has diverged. */
	async hash(room: string): Promise<string> {
		await this.#relay.flush();
		const head = await this.#relay.log.head(room);
		if (head.tail.count === 0 && head.snapshot !== null) return head.snapshot.hash;
		return (await this.#compacted(room)).hash;
	}

	#compacted(room: string) {
		return this.#relay.documents.need(async () => ({
			kind: "compact",
			updates: await readAll(this.#relay.log, room),
		}));
	}

	async #replace(room: string, update: Uint8Array, id: number): Promise<void> {
		const { log } = this.#relay;
		await this.#relay.end(room, closeCodes.unavailable, "restored", "this document was restored");
		const reading = readUpdate(update);
		if (!reading.ok)
			throw syncError("log_damaged", `Checkpoint ${id} of "${room}" cannot be read: ${reading.message}.`);
		const coverage = new Coverage();
		coverage.add(reading.facts);
		const head = await log.head(room);
		await log.checkpoint(room, `before restoring ${id}`, this.#now(), relayLimits.keptCheckpoints);
		const checkpoint = (await log.checkpoints(room)).find((each) => each.id === id);
		const snapshot = { upto: head.head, update, coverage: coverage.encode(), hash: checkpoint?.hash ?? "" };
		await log.compact(room, snapshot, head.snapshot?.upto ?? 0);
		await log.quarantine(room, null);
	}
}
