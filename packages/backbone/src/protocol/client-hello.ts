/** What a TLS client says before anything is decided (RFC 8446 §4.1.2). */
export interface ClientHello {
	/** SNI; empty when it names nobody. */
	readonly servername: string;
	/** ALPN, in its order. */
	readonly protocols: readonly string[];
}

/** Of a ClientHello, its records included; a longer one is nobody's. */
export const maxClientHelloBytes = 16 * 1024;

const handshakeRecord = 22;
const clientHelloType = 1;
const extensionTypes = { serverName: 0, alpn: 16 } as const;

/** @returns `incomplete` while more bytes are due, null for what is no ClientHello. */
export function readClientHello(bytes: Buffer): ClientHello | "incomplete" | null {
	const message: Buffer[] = [];
	let collected = 0;
	let wanted = 4;
	for (let at = 0; collected < wanted; ) {
		if (bytes.length - at < 5) return bytes.length > maxClientHelloBytes ? null : "incomplete";
		if (bytes[at] !== handshakeRecord) return null;
		const length = bytes.readUInt16BE(at + 3);
		if (length === 0 || length > maxClientHelloBytes) return null;
		if (bytes.length - at - 5 < length) return bytes.length > maxClientHelloBytes ? null : "incomplete";
		message.push(bytes.subarray(at + 5, at + 5 + length));
		collected += length;
		at += 5 + length;
		if (wanted !== 4 || collected < 4) continue;
		const head = Buffer.concat(message);
		if (head[0] !== clientHelloType) return null;
		wanted = 4 + head.readUIntBE(1, 3);
		if (wanted > maxClientHelloBytes) return null;
	}
	return readMessage(Buffer.concat(message).subarray(4, wanted));
}

function readMessage(body: Buffer): ClientHello | null {
	const reader = new Reader(body);
	// Version and random.
	if (!reader.skip(34)) return null;
	// Session id, cipher suites, compression methods.
	for (const lengthBytes of [1, 2, 1]) if (reader.vector(lengthBytes) === null) return null;
	const extensions = new Reader(reader.vector(2) ?? Buffer.alloc(0));
	let servername = "";
	const protocols: string[] = [];
	while (extensions.left > 0) {
		const type = extensions.number(2);
		const value = extensions.vector(2);
		if (type === null || value === null) return null;
		if (type === extensionTypes.serverName) {
			const names = new Reader(new Reader(value).vector(2) ?? Buffer.alloc(0));
			// host_name is the only kind there is.
			if (names.number(1) === 0) servername = names.vector(2)?.toString("latin1") ?? "";
		} else if (type === extensionTypes.alpn) {
			const list = new Reader(new Reader(value).vector(2) ?? Buffer.alloc(0));
			for (let each = list.vector(1); each !== null; each = list.vector(1)) protocols.push(each.toString("latin1"));
		}
	}
	return { servername, protocols };
}

/** Every length is checked before it is believed. */
class Reader {
	readonly #bytes: Buffer;
	#at = 0;

	constructor(bytes: Buffer) {
		this.#bytes = bytes;
	}

	get left(): number {
		return this.#bytes.length - this.#at;
	}

	skip(bytes: number): boolean {
		if (this.left < bytes) return false;
		this.#at += bytes;
		return true;
	}

	number(bytes: number): number | null {
		if (this.left < bytes) return null;
		this.#at += bytes;
		return this.#bytes.readUIntBE(this.#at - bytes, bytes);
	}

	vector(lengthBytes: number): Buffer | null {
		const length = this.number(lengthBytes);
		if (length === null || this.left < length) return null;
		this.#at += length;
		return this.#bytes.subarray(this.#at - length, this.#at);
	}
}
