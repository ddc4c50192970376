import { type Clock, closeCodes, RateLimit, WarrenError } from "@warren/kernel";
import { decodeMux, encodeMuxClosed, encodeMuxMessage, maxMuxChannels, syncLimits } from "../protocol/index.ts";
import { Outgoing } from "./outgoing.ts";
import { closeReason, type SyncSocket } from "./sync-socket.ts";

/** One document's part of a shared socket: to its room a socket like any other. */
class Channel implements SyncSocket {
	readonly #base: SyncSocket;
	readonly #number: number;
	readonly #onEnded: () => void;
	#onMessage: ((message: Uint8Array) => void) | undefined;
	#onDrain: (() => void) | undefined;
	readonly #onClose: ((clean: boolean) => void)[] = [];
	ended = false;

	constructor(base: SyncSocket, number: number, onEnded: () => void) {
		this.#base = base;
		this.#number = number;
		this.#onEnded = onEnded;
	}

	get isBlocked(): boolean {
		return this.#base.isBlocked;
	}

	get takenBytes(): number {
		return this.#base.takenBytes;
	}

	send(outgoing: Outgoing): boolean {
		if (this.ended) return true;
		const messages = outgoing.messages.map((each) => encodeMuxMessage(this.#number, each));
		return this.#base.send(new Outgoing(messages, outgoing));
	}

	inTurn(work: () => Promise<void>): void {
		this.#base.inTurn(async () => {
			if (!this.ended) await work();
		});
	}

	close(code: number, error: string, message: string): void {
		if (this.ended) return;
		this.#base.send(new Outgoing([encodeMuxClosed(this.#number, code, closeReason(error, message))]));
		this.end(true);
	}

	onMessage(handler: (message: Uint8Array) => void): void {
		this.#onMessage = handler;
	}

	onClose(handler: (clean: boolean) => void): void {
		this.#onClose.push(handler);
	}

	onDrain(handler: () => void): void {
		this.#onDrain = handler;
	}

	receive(message: Uint8Array): void {
		this.#onMessage?.(message);
	}

	drained(): void {
		this.#onDrain?.();
	}

	end(clean: boolean): void {
		if (this.ended) return;
		this.ended = true;
		this.#onEnded();
		for (const handler of this.#onClose) handler(clean);
	}
}

/**
 * Serves a shared socket.
 * @param enter opens a document, and gives what puts a channel into it; what it throws closes the channel.
 */
export function serveMux(
	base: SyncSocket,
	clock: Clock,
	enter: (id: string) => Promise<(socket: SyncSocket) => void>,
): void {
	const { channelsPerSecond: perSecond, channelBurst: burst } = syncLimits;
	const controls = new RateLimit(clock, { perSecond, burst, maxKeys: 1 });
	/** `early`: what came while the document was being opened; null once it is. */
	const channels = new Map<number, { readonly channel: Channel; early: Uint8Array[] | null }>();

	const open = async (number: number, id: string) => {
		const channel = new Channel(base, number, () => channels.delete(number));
		const entry = { channel, early: [] as Uint8Array[] | null };
		channels.set(number, entry);
		try {
			const join = await enter(id);
			// Closed while its document was being opened.
			if (channel.ended) return;
			join(channel);
			const early = entry.early ?? [];
			entry.early = null;
			for (const message of early) channel.receive(message);
		} catch (thrown) {
			const error = thrown instanceof WarrenError ? thrown : null;
			channel.close(closeCodeOf(error), error?.code ?? "internal", error?.message ?? "something went wrong");
		}
	};

	base.onMessage((bytes) => {
		const frame = decodeMux(bytes);
		if ((frame.type === "open" || frame.type === "close") && controls.take("socket") > 0) {
			return base.close(
				closeCodes.unavailable,
				"too_many",
				"documents are opened and closed faster than this hub takes",
			);
		}
		switch (frame.type) {
			case "open":
				if (channels.has(frame.channel)) {
					return base.close(closeCodes.badRequest, "bad_request", `channel ${frame.channel} is open already`);
				}
				if (channels.size >= maxMuxChannels) {
					const reason = closeReason("too_many", `${maxMuxChannels} documents are open on this socket`);
					return base.send(new Outgoing([encodeMuxClosed(frame.channel, closeCodes.unavailable, reason)]));
				}
				void open(frame.channel, frame.id);
				return;
			case "close":
				channels.get(frame.channel)?.channel.end(true);
				return;
			case "message": {
				// One for a channel that was closed a moment ago is late, not wrong.
				const entry = channels.get(frame.channel);
				if (entry?.early === null) return entry.channel.receive(frame.message);
				if (entry === undefined) return;
				if (entry.early.length >= maxEarlyMessages) {
					return base.close(closeCodes.badRequest, "bad_request", "too much was sent before the document was open");
				}
				entry.early.push(frame.message.slice());
				return;
			}
			case "closed":
			case "error": {
				const message = frame.type === "error" ? frame.message : "only a server says that a channel is closed";
				return base.close(closeCodes.badRequest, "bad_request", message);
			}
		}
	});
	base.onDrain(() => {
		for (const { channel } of channels.values()) channel.drained();
	});
	base.onClose((clean) => {
		for (const { channel } of channels.values()) channel.end(clean);
	});
}

/** Messages that may come for a channel while its document is being opened. */
const maxEarlyMessages = 64;

function closeCodeOf(error: WarrenError | null): number {
	if (error === null || error.retryable || error.status >= 500) return closeCodes.unavailable;
	if (error.status === 403) return closeCodes.forbidden;
	return error.status === 404 ? closeCodes.unknown : closeCodes.badRequest;
}
