import type { GatewayLimits } from "./limits.ts";
import type { Mesh } from "./mesh.ts";
import type { Refusal, Sending } from "./sending.ts";
import type { QueuedRow, QueueState } from "./server-effects.ts";

/** One message on its way to one mesh with a queue. */
export interface Delivery {
	readonly mesh: Mesh;
	/** Order within the target's mailbox; kept on disk. */
	readonly seq: number;
	readonly from: string;
	readonly id: string;
	/** The whole `gateway_incoming`. */
	readonly text: string;
	readonly bytes: number;
	/** Wall clock, ms. */
	readonly expiresAt: number;
	/** `sent`: in memory alone. `storing`: asked for. `stored`: survives everything. */
	state: "sent" | "storing" | "stored";
	/** Monotonic, ms; when it was last sent. */
	sentAt: number;
	acknowledged: boolean;
	/** Whose receipt waits for this; null once that is known. */
	sending: Sending | null;
}

/**
 * What one mesh with a queue has still to get: first what is on disk, then what is on its way, in order. Decides where a
 * message goes; the machine acts on it.
 */
export class Mailbox {
	readonly #limits: GatewayLimits;
	#nextSeq: number;
	#queuedCount: number;
	#queuedBytes: number;
	readonly #bytesBySender: Map<string, number>;
	#inflight: Delivery[] = [];
	#inflightBytes = 0;
	/** Highest seq on disk, or asked to be. */
	#storedThrough: number;
	/** Highest seq from disk that this connection was sent. */
	#sentThrough = 0;
	#loadThrough: number | null = null;

	constructor(limits: GatewayLimits, state: QueueState | null) {
		this.#limits = limits;
		this.#nextSeq = (state?.lastSeq ?? 0) + 1;
		this.#storedThrough = state === null || state.count === 0 ? 0 : state.lastSeq;
		this.#queuedCount = state?.count ?? 0;
		this.#queuedBytes = state?.bytes ?? 0;
		this.#bytesBySender = new Map(Object.entries(state?.bytesBySender ?? {}));
	}

	get inflight(): readonly Delivery[] {
		return this.#inflight;
	}

	get queuedCount(): number {
		return this.#queuedCount;
	}

	get isEmpty(): boolean {
		return this.#queuedCount === 0 && this.#inflight.length === 0;
	}

	/** Whether a message may go out now: nothing before it waits, and there is room on the way. */
	canSend(bytes: number): boolean {
		return this.#sentThrough >= this.#storedThrough && this.#loadThrough === null && this.#hasRoom(bytes);
	}

	send(delivery: Omit<Delivery, "seq" | "state" | "acknowledged">): Delivery {
		const sent: Delivery = { ...delivery, seq: this.#nextSeq++, state: "sent", acknowledged: false };
		this.#inflight.push(sent);
		this.#inflightBytes += sent.bytes;
		return sent;
	}

	/** @returns what is to be written, or why its queue does not take it (rule G12). */
	queue(delivery: Omit<Delivery, "seq" | "state" | "acknowledged">): Delivery | Refusal {
		const { maxQueuedMessages, maxQueuedBytes, maxQueueShare, queueRetryMs } = this.#limits;
		const ofSender = this.#bytesBySender.get(delivery.from) ?? 0;
		const full =
			this.#queuedCount >= maxQueuedMessages
				? `holds ${maxQueuedMessages} messages`
				: this.#queuedBytes + delivery.bytes > maxQueuedBytes
					? `holds ${maxQueuedBytes} bytes`
					: ofSender + delivery.bytes > maxQueuedBytes * maxQueueShare
						? `holds ${Math.floor(maxQueuedBytes * maxQueueShare)} bytes of yours`
						: null;
		if (full !== null)
			return {
				code: "queue_full",
				message: `The queue of ${delivery.mesh.meshId} ${full}`,
				retryAfterMs: queueRetryMs,
			};
		const queued: Delivery = { ...delivery, seq: this.#nextSeq++, state: "stored", acknowledged: false };
		this.store(queued);
		return queued;
	}

	/** From memory to disk; what is on its way already is bounded by itself. */
	store(delivery: Delivery): void {
		delivery.state = "storing";
		this.#count(delivery, 1);
		this.#storedThrough = Math.max(this.#storedThrough, delivery.seq);
		// What this connection has been sent need not be read again for it.
		if (this.#inflight.includes(delivery)) this.#sentThrough = Math.max(this.#sentThrough, delivery.seq);
	}

	/** Gone from disk, or never got there. */
	unstore(row: Pick<Delivery, "from" | "bytes">): void {
		this.#count(row, -1);
	}

	/** The oldest `count` on their way have arrived. */
	acknowledge(count: number): Delivery[] {
		const done = this.#inflight.splice(0, count);
		for (const each of done) this.#inflightBytes -= each.bytes;
		return done;
	}

	/** The connection has ended. @returns what was on its way. */
	cut(): Delivery[] {
		const cut = this.#inflight;
		this.#inflight = [];
		this.#inflightBytes = 0;
		this.#sentThrough = 0;
		this.#loadThrough = null;
		return cut;
	}

	/** @returns after which row to read on, or null when there is nothing to read or no room. */
	nextLoad(): number | null {
		if (this.#loadThrough !== null || this.#sentThrough >= this.#storedThrough || !this.#hasRoom(0)) return null;
		this.#loadThrough = this.#storedThrough;
		return this.#sentThrough;
	}

	/** What was read. @returns what is to be sent now; what was not wanted any more is left for the next load. */
	loaded(mesh: Mesh, rows: readonly QueuedRow[], complete: boolean, sentAt: number): Delivery[] {
		const through = this.#loadThrough;
		if (through === null) return [];
		this.#loadThrough = null;
		const sent: Delivery[] = [];
		for (const row of rows) {
			if (!this.#hasRoom(row.bytes) && sent.length > 0) return sent;
			const delivery: Delivery = { ...row, mesh, state: "stored", sentAt, acknowledged: false, sending: null };
			this.#inflight.push(delivery);
			this.#inflightBytes += row.bytes;
			this.#sentThrough = row.seq;
			sent.push(delivery);
		}
		if (complete) this.#sentThrough = Math.max(this.#sentThrough, through);
		return sent;
	}

	#hasRoom(bytes: number): boolean {
		return (
			this.#inflight.length < this.#limits.maxInflight &&
			(this.#inflight.length === 0 || this.#inflightBytes + bytes <= this.#limits.maxInflightBytes)
		);
	}

	#count(row: Pick<Delivery, "from" | "bytes">, sign: 1 | -1): void {
		this.#queuedCount += sign;
		this.#queuedBytes += sign * row.bytes;
		const ofSender = (this.#bytesBySender.get(row.from) ?? 0) + sign * row.bytes;
		if (ofSender > 0) this.#bytesBySender.set(row.from, ofSender);
		else this.#bytesBySender.delete(row.from);
	}
}
