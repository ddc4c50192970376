import { message, messageFlags, messageHeaderBytes, messages, messageTypes } from "../kernel/netlink.ts";
import { errors, type Libc, must, SystemCallError, u32Bytes } from "./libc.ts";

export const netlinkProtocols = { route: 0, generic: 16 } as const;

const familyNetlink = 16;
const rawCloseOnExec = 3 | 0x80000;
const levelSocket = 1;
const receiveTimeout = 20;
/** The kernel answers while it is asked; this is for the day that it does not. */
const timeoutSeconds = 2;
/** The kernel fills at most 32 KiB a read. */
const readBytes = 64 * 1024;
/** An attribute of 64 KiB, and what is around it. */
const writeBytes = 68 * 1024;
/** Of one dump: 64 MiB. */
const maxReads = 2048;

/** A conversation with the kernel by netlink(7). Each request is answered before it returns. */
export class NetlinkSocket {
	readonly #libc: Libc;
	/** Both as long as this lives: the kernel is given their addresses. */
	readonly #buffer = new Uint8Array(new ArrayBuffer(readBytes));
	readonly #question = new Uint8Array(new ArrayBuffer(writeBytes));
	#fd: number;
	#sequence = 0;

	/** @throws SystemCallError. */
	constructor(libc: Libc, protocol: number) {
		this.#libc = libc;
		this.#fd = must(libc, libc.socket(familyNetlink, rawCloseOnExec, protocol), "opening a netlink socket");
		const timeout = new Uint8Array(16);
		timeout.set(u32Bytes(timeoutSeconds));
		libc.setsockopt(this.#fd, levelSocket, receiveTimeout, timeout, 16);
	}

	/**
	 * @returns the bodies of the answers, each its own bytes.
	 * @throws SystemCallError with the number that the kernel answers.
	 */
	request(type: number, flags: number, body: Uint8Array, call: string): Uint8Array[] {
		this.#sequence = (this.#sequence + 1) >>> 0;
		const isDump = (flags & messageFlags.dump) === messageFlags.dump;
		const bytes = message(type, messageFlags.request | (isDump ? 0 : messageFlags.ack) | flags, this.#sequence, body);
		if (bytes.length > writeBytes) throw new RangeError(`A message of ${bytes.length} bytes is too long.`);
		this.#question.set(bytes);
		must(this.#libc, Number(this.#libc.write(this.#fd, this.#libc.addressOf(this.#question), bytes.length)), call);
		const answers: Uint8Array[] = [];
		for (let reads = 0; reads < maxReads; reads++) if (this.#read(call, answers)) return answers;
		throw new SystemCallError(call, errors.EMSGSIZE);
	}

	close(): void {
		if (this.#fd >= 0) this.#libc.close(this.#fd);
		this.#fd = -1;
	}

	/** @returns whether the last answer has come. */
	#read(call: string, answers: Uint8Array[]): boolean {
		const read = Number(this.#libc.read(this.#fd, this.#libc.addressOf(this.#buffer), readBytes));
		must(this.#libc, read, call);
		if (read < messageHeaderBytes) throw new SystemCallError(call, incomplete);
		for (const { type, sequence, body } of messages(this.#buffer.subarray(0, read))) {
			// Of a request that this one's predecessor gave up on.
			if (sequence !== this.#sequence) continue;
			if (type === messageTypes.error || type === messageTypes.done) {
				const number = body.length < 4 ? 0 : new DataView(body.buffer, body.byteOffset).getInt32(0, true);
				if (number < 0) throw new SystemCallError(call, -number);
				return true;
			}
			answers.push(Uint8Array.from(body));
		}
		return false;
	}
}

/** EPROTO: what came is no answer. */
const incomplete = 71;
