/** Documents in one file, on their way from one hub to another. */
export interface BundledDocument {
	readonly id: string;
	readonly title: string;
	/** A Yjs update, V1: all of it. */
	readonly update: Uint8Array<ArrayBuffer>;
}

export const bundleLimits = { maxBytes: 256 * 1024 * 1024, maxDocuments: 5_000, maxTitleLength: 200 } as const;

/** What `POST /rooms` takes. */
const documentId = /^[A-Za-z0-9](?!.*\.\.)[A-Za-z0-9._~-]{0,127}$/;

/** JSON `{warren: "documents", version: 1, documents: [{id, title, update}]}`, the update as base64. */
export function encodeBundle(documents: readonly BundledDocument[]): Uint8Array<ArrayBuffer> {
	const written = documents.map(({ id, title, update }) => ({ id, title, update: toBase64(update) }));
	return new TextEncoder().encode(JSON.stringify({ warren: "documents", version: 1, documents: written }));
}

/** @returns null when this is no such file, or one beyond the limits: nothing of it counts then. */
export function decodeBundle(bytes: Uint8Array): BundledDocument[] | null {
	if (bytes.length > bundleLimits.maxBytes) return null;
	let parsed: unknown;
	try {
		parsed = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
	} catch {
		// Another file, or a part of one.
		return null;
	}
	const { warren, version, documents } = (parsed ?? {}) as Record<string, unknown>;
	if (warren !== "documents" || version !== 1 || !Array.isArray(documents)) return null;
	if (documents.length > bundleLimits.maxDocuments) return null;
	const read = documents.map(documentOf);
	return read.every((each) => each !== null) ? read : null;
}

function documentOf(value: unknown): BundledDocument | null {
	const { id, title, update } = (value ?? {}) as Record<string, unknown>;
	if (typeof id !== "string" || !documentId.test(id) || typeof title !== "string" || typeof update !== "string")
		return null;
	if (title.length > bundleLimits.maxTitleLength) return null;
	const bytes = fromBase64(update);
	return bytes === null ? null : { id, title, update: bytes };
}

/** Pieces that a call's arguments can hold. */
const pieceBytes = 0x2000;

function toBase64(bytes: Uint8Array): string {
	let text = "";
	for (let at = 0; at < bytes.length; at += pieceBytes)
		text += String.fromCharCode(...bytes.subarray(at, at + pieceBytes));
	return btoa(text);
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> | null {
	try {
		return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
	} catch {
		// Not base64.
		return null;
	}
}
