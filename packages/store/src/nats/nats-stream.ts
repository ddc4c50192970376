import {
	AckPolicy,
	type ConsumerMessages,
	DeliverPolicy,
	DiscardPolicy,
	type JsMsg,
	StorageType,
} from "@nats-io/jetstream";
import { nanos } from "@nats-io/transport-node";
import { type Clock, type Closeable, type Logger, messageOf } from "@warren/kernel";
import { tooLarge } from "../sqlite-stream.ts";
import {
	type AppendedMessage,
	maxStreamMessageBytes,
	type Stream,
	type StreamMessage,
	type StreamOptions,
} from "../stream.ts";
import { type Nats, natsFailure } from "./nats.ts";

/** After a rejected message, and after a reader that died in the middle of one. */
const againMs = 1_000;
const ackWaitMs = 30_000;

/** A stream in JetStream, for several processes and machines. */
export class NatsStream implements Stream {
	readonly #nats: Nats;
	readonly #stream: string;
	readonly #logger: Logger;
	readonly #clock: Clock;
	readonly #readings = new Set<Closeable>();

	private constructor(nats: Nats, stream: string, deps: { readonly clock: Clock; readonly logger: Logger }) {
		this.#nats = nats;
		this.#stream = stream;
		this.#logger = deps.logger;
		this.#clock = deps.clock;
	}

	/** @param name letters, digits, dashes. @throws WarrenError `store_away`. */
	static async open(
		nats: Nats,
		name: string,
		options: StreamOptions,
		deps: { readonly clock: Clock; readonly logger: Logger },
	): Promise<NatsStream> {
		const stream = `${nats.prefix}-${name}`;
		const config = {
			subjects: [`${nats.prefix}-stream.${name}.>`],
			storage: StorageType.File,
			discard: DiscardPolicy.Old,
			max_bytes: options.maxBytes,
			max_age: nanos(options.maxAgeMs),
			// The server refuses a window that is longer than the messages live.
			duplicate_window: nanos(Math.min(options.duplicateWindowMs, options.maxAgeMs)),
		};
		try {
			const stands = await nats.manager.streams.info(stream).catch(() => null);
			if (stands === null) await nats.manager.streams.add({ name: stream, ...config });
			else await nats.manager.streams.update(stream, config);
		} catch (cause) {
			throw natsFailure(`open the stream ${name}`, cause);
		}
		return new NatsStream(nats, stream, deps);
	}

	async append(subject: string, data: Uint8Array, options: { readonly id?: string } = {}): Promise<AppendedMessage> {
		if (data.length > maxStreamMessageBytes) throw tooLarge(data.length);
		try {
			const stored = await this.#nats.jetstream.publish(`${this.#subjects}${subject}`, data, {
				...(options.id === undefined ? {} : { msgID: options.id }),
			});
			return { seq: stored.seq, duplicate: stored.duplicate };
		} catch (cause) {
			throw natsFailure(`store a message of ${subject}`, cause);
		}
	}

	async read(reader: string, receive: (message: StreamMessage) => Promise<void> | void): Promise<Closeable> {
		const settings = {
			durable_name: reader,
			ack_policy: AckPolicy.Explicit,
			deliver_policy: DeliverPolicy.All,
			ack_wait: nanos(ackWaitMs),
			// One at a time: the next may depend on the one before.
			max_ack_pending: 1,
		};
		let messages: ConsumerMessages;
		try {
			await this.#nats.manager.consumers.add(this.#stream, settings);
			const consumer = await this.#nats.jetstream.consumers.get(this.#stream, reader);
			messages = await consumer.consume({ max_messages: 1 });
		} catch (cause) {
			throw natsFailure(`open the reader ${reader}`, cause);
		}
		const run = async () => {
			for await (const message of messages) await this.#give(reader, message, receive);
		};
		run().catch((fault: unknown) => this.#logger.error("a reader ended", { reader, fault: messageOf(fault) }));
		const reading = {
			close: async () => {
				this.#readings.delete(reading);
				await messages.close();
			},
		};
		this.#readings.add(reading);
		return reading;
	}

	async forget(reader: string): Promise<void> {
		await this.#nats.manager.consumers.delete(this.#stream, reader).catch(() => false);
	}

	async close(): Promise<void> {
		for (const reading of [...this.#readings]) await reading.close();
	}

	get #subjects(): string {
		const [prefix, name] = [this.#nats.prefix, this.#stream.slice(this.#nats.prefix.length + 1)];
		return `${prefix}-stream.${name}.`;
	}

	async #give(
		reader: string,
		message: JsMsg,
		receive: (message: StreamMessage) => Promise<void> | void,
	): Promise<void> {
		// A slow receiver keeps its message.
		let working = this.#clock.after(ackWaitMs / 3, () => keep());
		const keep = () => {
			message.working();
			working = this.#clock.after(ackWaitMs / 3, () => keep());
		};
		try {
			await receive({
				seq: message.seq,
				subject: message.subject.slice(this.#subjects.length),
				data: message.data,
				attempt: message.info.deliveryCount,
			});
			// Confirmed: an acknowledgement that got lost would bring it again.
			await message.ackAck();
		} catch (fault) {
			this.#logger.warn("a message was not taken and is given again", { reader, fault: messageOf(fault) });
			message.nak(againMs);
		} finally {
			working.cancel();
		}
	}
}
