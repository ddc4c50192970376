import { closeCodes, type Identity } from "@warren/kernel";
import { closeReason, type Outgoing, type SyncSocket } from "@warren/sync";
import type { MemberStanding } from "@warren/sync/protocol";
import type { HibernatingSocket } from "../platform.ts";
import type { Admission } from "./admission.ts";

/** What a socket carries through its room's sleep. */
export interface SocketFacts {
	readonly admission: Admission;
	/** It agreed on `warren.sync.v1`. */
	readonly acknowledges: boolean;
	readonly standing: MemberStanding | null;
}

/** The platform takes 16 KiB, by structured clone. */
const maxAttachmentBytes = 15 * 1024;
/** Of one message, either way: the platform's own is 32 MiB. */
const maxMessageBytes = 32 * 1024 * 1024;

/** A client's WebSocket that the platform keeps. It tells nobody how much of what was sent has gone out. */
export class ObjectSocket implements SyncSocket {
	readonly isBlocked = false;
	readonly takenBytes = 0;
	readonly #socket: HibernatingSocket;
	#onMessage: (message: Uint8Array) => void = () => {};
	readonly #onClose: ((clean: boolean) => void)[] = [];
	#standing: MemberStanding | null = null;
	#closed = false;

	constructor(socket: HibernatingSocket) {
		this.#socket = socket;
	}

	get facts(): SocketFacts {
		return this.#socket.deserializeAttachment() as SocketFacts;
	}

	get identity(): Identity {
		return this.facts.admission.identity;
	}

	/** Before its room is entered. */
	keep(facts: SocketFacts): void {
		this.#attach(facts);
	}

	/**
	 * Its place in the room, written when it changed: asked of every socket after each message of one, so that those who
	 * only listen must cost next to nothing.
	 */
	keepStanding(standing: MemberStanding): void {
		if (this.#standing !== null && isSame(this.#standing, standing)) return;
		this.#standing = standing;
		this.#attach({ ...this.facts, standing });
	}

	/** What does not fit (a large presence) is left out: its client says it again within 15 s. */
	#attach(facts: SocketFacts): void {
		const { standing } = facts;
		const fits = standing === null || Buffer.byteLength(JSON.stringify(facts)) <= maxAttachmentBytes;
		this.#socket.serializeAttachment(fits ? facts : { ...facts, standing: { ...standing, entries: [] } });
	}

	send(outgoing: Outgoing): boolean {
		for (const message of outgoing.messages) {
			if (this.#closed) break;
			if (message.length > maxMessageBytes) {
				const text = `a message of ${message.length} bytes; ${maxMessageBytes} is the most here`;
				this.close(closeCodes.forbidden, "room_full", text);
				break;
			}
			this.#socket.send(message);
		}
		return true;
	}

	inTurn(work: () => Promise<void>): void {
		void work();
	}

	close(code: number, error: string, message: string): void {
		if (this.#closed) return;
		try {
			this.#socket.close(code, closeReason(error, message));
		} catch {
			// It is gone already.
		}
		this.ended(true);
	}

	onMessage(handler: (message: Uint8Array) => void): void {
		this.#onMessage = handler;
	}

	onClose(handler: (clean: boolean) => void): void {
		this.#onClose.push(handler);
	}

	onDrain(): void {}

	receive(message: ArrayBuffer | string): void {
		if (this.#closed) return;
		if (typeof message === "string")
			return this.close(closeCodes.badRequest, "bad_request", "text is no sync message: send binary ones");
		this.#onMessage(new Uint8Array(message));
	}

	/** @param clean it said goodbye. */
	ended(clean: boolean): void {
		if (this.#closed) return;
		this.#closed = true;
		for (const handler of this.#onClose) handler(clean);
	}
}

/** An entry is made anew whenever its client says something. */
function isSame(a: MemberStanding, b: MemberStanding): boolean {
	return (
		a.progress === b.progress &&
		a.received === b.received &&
		a.entries.length === b.entries.length &&
		a.entries.every((entry, index) => entry === b.entries[index])
	);
}
