import { encodeIncoming, encodeReceipt, incomingHead, type Receipt, type SendMessage } from "./frames.ts";
import type { GatewayLimits } from "./limits.ts";
import { type Delivery, Mailbox } from "./mailbox.ts";
import type { Mesh } from "./mesh.ts";
import { receiptOf, type Sending } from "./sending.ts";
import type { QueuedRow, QueueState, ServerEffect, SocketId } from "./server-effects.ts";

/** How often what is on its way is looked at for its acknowledgement. */
const sweepMs = 1_000;

/** Whoever keeps the senders' order. */
export interface SendingHears {
	/** Its outcome is known; its receipt goes out after this. */
	settled(sending: Sending): void;
	/** One of its receivers' queues could not be written. */
	failed(sending: Sending): void;
}

/** Passing on: to sockets, into mailboxes, and the receipts of both. Rules G8 to G13. */
export class Deliveries {
	readonly #limits: GatewayLimits;
	readonly #emit: (effect: ServerEffect) => void;
	readonly #hears: SendingHears;
	/** Meshes with something on its way. */
	readonly #awaiting = new Set<Mesh>();
	readonly #mailboxes = new Set<Mesh>();
	#sweepAt: number | null = null;
	#unnamed = 0;

	constructor(limits: GatewayLimits, emit: (effect: ServerEffect) => void, hears: SendingHears) {
		this.#limits = limits;
		this.#emit = emit;
		this.#hears = hears;
	}

	get queuedCount(): number {
		let count = 0;
		for (const mesh of this.#mailboxes) count += mesh.mailbox?.queuedCount ?? 0;
		return count;
	}

	deadline(): number | null {
		return this.#awaiting.size === 0 ? null : this.#sweepAt;
	}

	restore(mesh: Mesh, state: QueueState): void {
		mesh.mailbox = new Mailbox(this.#limits, state);
		this.#mailboxes.add(mesh);
	}

	/** As `pass`, to one mesh, as most messages go: one that needs no queue gets it without lists in between. */
	relay(sending: Sending, target: Mesh, message: SendMessage, now: number, wall: number): void {
		const { session } = target;
		if (target.durable || session === null) return this.pass(sending, [target], message, now, wall);
		const from = sending.mesh;
		from.head ??= incomingHead(from);
		const extra = session.features.size === 0 ? null : { id: this.#idOf(sending, wall), room: message.room };
		sending.delivered += 1;
		this.#emit({ kind: "fanout", to: [session.socket], text: encodeIncoming(from.head, message.payload, extra) });
		this.done(sending);
	}

	/** Gives one message to everybody that it is for. */
	pass(sending: Sending, targets: Iterable<Mesh>, message: SendMessage, now: number, wall: number): void {
		const from = sending.mesh;
		from.head ??= incomingHead(from);
		const { head } = from;
		let extended: string | undefined;
		let bytes = 0;
		const plainTo: SocketId[] = [];
		const extendedTo: SocketId[] = [];
		const id = this.#idOf(sending, wall);
		const extend = () => {
			extended ??= encodeIncoming(head, message.payload, { id, room: message.room });
			return extended;
		};
		for (const target of targets) {
			const { session } = target;
			if (target.durable && (session === null || session.features.has("queue"))) {
				const text = extend();
				bytes ||= Buffer.byteLength(text);
				this.#into(target, {
					...{ mesh: target, from: from.meshId, id, text, bytes, sending, sentAt: now },
					expiresAt: wall + (message.ttlMs ?? this.#limits.ttlMs),
				});
			} else if (session === null) sending.offline += 1;
			else {
				sending.delivered += 1;
				if (session.features.size === 0) plainTo.push(session.socket);
				else extendedTo.push(session.socket);
			}
		}
		if (plainTo.length > 0) {
			const text = encodeIncoming(head, message.payload, null);
			this.#emit({ kind: "fanout", to: plainTo, text });
		}
		if (extendedTo.length > 0) this.#emit({ kind: "fanout", to: extendedTo, text: extend() });
		this.done(sending);
	}

	/** Clients of the original name no ids; whoever keeps messages apart by id needs one. */
	#idOf(sending: Sending, wall: number): string {
		return sending.id === "" ? `u${wall}.${this.#unnamed++}` : sending.id;
	}

	/** The id has come again after some queues could not be written. */
	passAgain(sending: Sending, message: SendMessage, now: number, wall: number): void {
		const targets = sending.failed;
		Object.assign(sending, { failed: [], refusal: null, receipt: null, waiting: 1 });
		this.pass(sending, targets, message, now, wall);
	}

	/** One of those that a sending waits for has its outcome. */
	done(sending: Sending): void {
		sending.waiting -= 1;
		if (sending.waiting > 0 || sending.receipt !== null) return;
		this.#hears.settled(sending);
		if (sending.id !== "") this.receipt(sending);
	}

	receipt(sending: Sending): void {
		this.tell(sending.socket, sending.receipt ?? receiptOf(sending));
	}

	tell(socket: SocketId, receipt: Receipt): void {
		this.#emit({ kind: "send", to: socket, text: encodeReceipt(receipt), soon: true });
	}

	/** A mesh with a queue has signed in: everything that waits comes first. */
	arrived(mesh: Mesh): void {
		this.#pump(mesh);
	}

	/** What its connection did not acknowledge goes to disk. */
	left(mesh: Mesh): void {
		this.#awaiting.delete(mesh);
		const { mailbox } = mesh;
		if (mailbox === null) return;
		for (const delivery of mailbox.cut()) this.#store(mailbox, delivery);
		if (!mailbox.isEmpty) return;
		mesh.mailbox = null;
		this.#mailboxes.delete(mesh);
	}

	acknowledge(mesh: Mesh, count: number): void {
		const { mailbox } = mesh;
		if (mailbox === null) return;
		const onDisk: number[] = [];
		for (const delivery of mailbox.acknowledge(count)) {
			delivery.acknowledged = true;
			if (delivery.state === "stored") {
				onDisk.push(delivery.seq);
				mailbox.unstore(delivery);
			}
			this.#delivered(delivery);
		}
		if (onDisk.length > 0) this.#emit({ kind: "dequeue", meshId: mesh.meshId, seqs: onDisk });
		if (mailbox.inflight.length === 0) this.#awaiting.delete(mesh);
		this.#pump(mesh);
	}

	stored(deliveries: readonly Delivery[]): void {
		for (const delivery of deliveries) {
			delivery.state = "stored";
			const { mesh } = delivery;
			if (delivery.acknowledged) {
				// It arrived while it was being written.
				mesh.mailbox?.unstore(delivery);
				this.#emit({ kind: "dequeue", meshId: mesh.meshId, seqs: [delivery.seq] });
				continue;
			}
			const { sending } = delivery;
			delivery.sending = null;
			if (sending !== null) {
				sending.queued += 1;
				this.done(sending);
			}
			this.#pump(mesh);
		}
	}

	/** The disk refuses: whoever sent it keeps it. */
	storeFailed(deliveries: readonly Delivery[]): void {
		for (const delivery of deliveries) {
			const mailbox = delivery.mesh.mailbox;
			mailbox?.unstore(delivery);
			// What is still on its way to a connection may arrive yet.
			if (mailbox?.inflight.includes(delivery) === true) {
				delivery.state = "sent";
				delivery.sentAt += this.#limits.storeRetryMs;
				continue;
			}
			const { sending } = delivery;
			delivery.sending = null;
			if (sending === null) continue;
			sending.failed.push(delivery.mesh);
			sending.refusal = {
				code: "store_failed",
				message: "The gateway cannot write to its disk",
				retryAfterMs: this.#limits.storeRetryMs,
			};
			this.#hears.failed(sending);
			this.done(sending);
		}
	}

	loaded(mesh: Mesh, rows: readonly QueuedRow[], complete: boolean, now: number, wall: number): void {
		const { mailbox, session } = mesh;
		if (mailbox === null) return;
		const late = rows.filter((row) => row.expiresAt <= wall);
		if (late.length > 0) {
			this.expired(mesh, late);
			this.#emit({ kind: "dequeue", meshId: mesh.meshId, seqs: late.map((row) => row.seq) });
		}
		const current = late.length === 0 ? rows : rows.filter((row) => row.expiresAt > wall);
		for (const delivery of mailbox.loaded(mesh, current, complete, now)) {
			if (session === null) continue;
			session.sent += 1;
			this.#emit({ kind: "send", to: session.socket, text: delivery.text });
			this.#await(mesh, now);
		}
		if (session !== null) this.#pump(mesh);
	}

	expired(mesh: Mesh, rows: readonly QueuedRow[]): void {
		for (const row of rows) mesh.mailbox?.unstore(row);
	}

	tick(now: number): void {
		if (this.#sweepAt === null || this.#sweepAt > now) return;
		this.#sweepAt = now + sweepMs;
		for (const mesh of this.#awaiting) {
			const { mailbox } = mesh;
			for (const delivery of mailbox?.inflight ?? []) {
				if (delivery.sentAt + this.#limits.ackMs > now) break;
				if (mailbox !== null && delivery.state === "sent") this.#store(mailbox, delivery);
			}
		}
	}

	#into(mesh: Mesh, draft: Omit<Delivery, "seq" | "state" | "acknowledged">): void {
		const { session } = mesh;
		const sending = draft.sending as Sending;
		if (mesh.mailbox === null) {
			mesh.mailbox = new Mailbox(this.#limits, null);
			this.#mailboxes.add(mesh);
		}
		const { mailbox } = mesh;
		if (session !== null && mailbox.canSend(draft.bytes)) {
			mailbox.send(draft);
			sending.waiting += 1;
			session.sent += 1;
			this.#emit({ kind: "send", to: session.socket, text: draft.text });
			this.#await(mesh, draft.sentAt);
			return;
		}
		const queued = mailbox.queue(draft);
		if ("code" in queued) {
			sending.refusal = queued;
			return;
		}
		sending.waiting += 1;
		// Whatever is on disk has everything before it on disk as well: a disk that fills up in between reorders nothing.
		for (const before of mailbox.inflight) this.#store(mailbox, before);
		this.#emit({ kind: "enqueue", delivery: queued });
	}

	#store(mailbox: Mailbox, delivery: Delivery): void {
		if (delivery.state !== "sent") return;
		mailbox.store(delivery);
		this.#emit({ kind: "enqueue", delivery });
	}

	#delivered(delivery: Delivery): void {
		const { sending } = delivery;
		delivery.sending = null;
		if (sending === null) return;
		sending.delivered += 1;
		this.done(sending);
	}

	#pump(mesh: Mesh): void {
		if (mesh.session === null || mesh.mailbox === null || !mesh.session.features.has("queue")) return;
		const after = mesh.mailbox.nextLoad();
		if (after !== null) this.#emit({ kind: "load", meshId: mesh.meshId, after, limit: this.#limits.loadBatch });
	}

	#await(mesh: Mesh, now: number): void {
		this.#awaiting.add(mesh);
		this.#sweepAt ??= now + sweepMs;
	}
}
