/**
 * Tells the other thread that a peer has changed, and again only once it has taken the word before: message ports queue
 * without a limit, and a peer that moves with each of its datagrams would fill the memory with what it has to say.
 */
export class ChangeReports {
	readonly #report: (publicKey: Uint8Array) => void;
	/** By key: whether it has changed since it was told of. */
	readonly #told = new Map<string, boolean>();

	constructor(report: (publicKey: Uint8Array) => void) {
		this.#report = report;
	}

	changed(publicKey: Uint8Array): void {
		const name = nameOf(publicKey);
		const isNew = !this.#told.has(name);
		this.#told.set(name, !isNew);
		if (isNew) this.#report(publicKey);
	}

	/** The other side knows of it, as it was when it was told. */
	taken(publicKey: Uint8Array): void {
		const name = nameOf(publicKey);
		const hasChanged = this.#told.get(name) === true;
		this.#told.delete(name);
		if (hasChanged) this.changed(publicKey);
	}
}

function nameOf(publicKey: Uint8Array): string {
	return Buffer.from(publicKey.buffer, publicKey.byteOffset, publicKey.byteLength).toString("base64");
}
