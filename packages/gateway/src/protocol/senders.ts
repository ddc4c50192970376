import type { Answers } from "./answers.ts";
import { seconds } from "./answers.ts";
import type { SendMessage } from "./frames.ts";
import type { MachineCore } from "./machine-core.ts";
import { admitEachOther, type Mesh, none } from "./mesh.ts";
import { MinuteLimit } from "./minute-limit.ts";
import { RememberedIds } from "./remembered-ids.ts";
import { holdsBack, receiptOf, type Sending } from "./sending.ts";
import type { Session } from "./session.ts";

/** Relays and broadcasts as they come in: judged, told apart by their ids, kept in order. Rules G6, G7, G9, G10, G13, G14. */
export class Senders {
	readonly #core: MachineCore;
	readonly #answers: Answers;
	readonly #remembered: RememberedIds;
	readonly #messages: MinuteLimit;
	#order = 0;

	/** @param seed of what is remembered: not known to clients. */
	constructor(core: MachineCore, answers: Answers, seed: string) {
		this.#core = core;
		this.#answers = answers;
		this.#remembered = new RememberedIds(core.limits.maxRememberedIds, core.limits.rememberMs, seed);
		this.#messages = new MinuteLimit(core.limits.messagesPerMinute);
	}

	pass(session: Session, mesh: Mesh, message: SendMessage): void {
		const receipts = session.features.has("receipts");
		if (receipts && message.id === null)
			return this.#answers.fault(session, mesh, `${message.type}: with receipts every message needs an id`);
		const sending: Sending = {
			mesh,
			id: message.id ?? "",
			slot: -1,
			broadcast: message.targetMeshId === null,
			at: this.#core.now,
			order: this.#order++,
			socket: session.socket,
			waiting: 1,
			delivered: 0,
			queued: 0,
			offline: 0,
			refusal: null,
			failed: [],
			receipt: null,
		};
		if (receipts) {
			if (this.#isHeldBack(session, sending)) return;
			const before = this.#remembered.get(mesh.meshId, sending.id, this.#core.now);
			if (before !== null && !("mesh" in before))
				return this.#core.deliveries.tell(session.socket, { id: sending.id, ...before.receipt });
			if (before !== null) {
				// Its receipt goes to where it was asked for last; if it is known, at once.
				before.socket = session.socket;
				before.order = sending.order;
				if (before.receipt !== null && before.failed.length > 0)
					return this.#core.deliveries.passAgain(before, message, this.#core.now, this.#core.wall);
				if (before.receipt !== null) this.#core.deliveries.receipt(before);
				else if (before.failed.length > 0) this.holdBack(before);
				return;
			}
		}
		const refusal = this.#refusalOf(mesh, message);
		if (refusal !== null) {
			if (!receipts) return this.#answers.refuse(session, refusal.message);
			sending.refusal = refusal;
			return this.#core.deliveries.done(sending);
		}
		const { deliveries, now, wall } = this.#core;
		const { targetMeshId, room } = message;
		if (targetMeshId === null) deliveries.pass(sending, this.#audience(mesh, room), message, now, wall);
		else {
			const target = this.#targetOf(session, mesh, targetMeshId);
			if (target === null) deliveries.pass(sending, none, message, now, wall);
			else deliveries.relay(sending, target, message, now, wall);
		}
		// What may be sent again is not remembered.
		if (receipts && (sending.failed.length > 0 || sending.receipt?.retryAfterMs === undefined))
			this.#remembered.add(sending);
	}

	/** A receipt is known: the retryable ones are forgotten, so that the id may come again. */
	settled(sending: Sending): void {
		sending.receipt = receiptOf(sending);
		if (sending.receipt.retryAfterMs === undefined)
			return sending.failed.length === 0 ? this.#remembered.settle(sending, sending.receipt) : undefined;
		if (sending.failed.length === 0) this.#remembered.forget(sending);
		if (holdsBack(sending.receipt)) this.holdBack(sending);
	}

	/** Also before its receipt is known: others may take their time to acknowledge, and nothing may overtake it meanwhile. */
	holdBack(sending: Sending): void {
		const session = this.#core.sessions.get(sending.socket);
		if (session?.features.has("ordered") !== true) return;
		const { id, order } = sending;
		if (session.blockedOn === null || order < session.blockedOn.order) session.blockedOn = { id, order };
	}

	/** Rule G13: after a rejection nothing overtakes what was rejected. */
	#isHeldBack(session: Session, sending: Sending): boolean {
		if (session.blockedOn === null) return false;
		if (session.blockedOn.id === sending.id) {
			session.blockedOn = null;
			return false;
		}
		this.#core.deliveries.receipt({
			...sending,
			refusal: {
				code: "after_rejected",
				message: `"${session.blockedOn.id}" was rejected and comes first`,
				retryAfterMs: 0,
			},
		});
		return true;
	}

	#refusalOf(mesh: Mesh, message: SendMessage) {
		const { payloadBytes, messagesPerMinute } = this.#core.limits;
		// A character has three bytes at most.
		const bytes = message.payload.length * 3 <= payloadBytes ? 0 : Buffer.byteLength(message.payload);
		if (bytes > payloadBytes)
			return { code: "too_large", message: `Payload too large (max ${payloadBytes} bytes): this one has ${bytes}` };
		const waitMs = this.#messages.take(mesh.meshId, this.#core.now);
		if (waitMs === 0) return null;
		return {
			code: "rate_limited",
			message: `Rate limited (max ${messagesPerMinute} messages/minute): try again in ${seconds(waitMs)}`,
			retryAfterMs: waitMs,
		};
	}

	#targetOf(session: Session, from: Mesh, targetMeshId: string): Mesh | null {
		// One that is connected is the one that has the name; who speaks, often speaks to the same.
		let target = session.target;
		if (target?.session == null || target.meshId !== targetMeshId) {
			target = this.#core.meshes.get(targetMeshId);
			session.target = target;
		}
		return target !== null && admitEachOther(from, target) ? target : null;
	}

	*#audience(from: Mesh, room: string | null): Iterable<Mesh> {
		for (const target of this.#core.meshes.audience(room))
			if (target !== from && admitEachOther(from, target)) yield target;
	}
}
