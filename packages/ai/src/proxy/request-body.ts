import type { IncomingMessage } from "node:http";
import { pipeline, type Readable, Transform } from "node:stream";
import type { Clock, WarrenError } from "@warren/kernel";
import { aiError } from "../errors.ts";
import { aiLimits } from "../limits.ts";

/** A small body is held, and can be sent twice; a large one passes through once. */
export type RequestBody =
	| { readonly kind: "none" }
	| { readonly kind: "held"; readonly bytes: Buffer }
	| { readonly kind: "passing"; readonly stream: Readable; readonly length: number | null };

export function tooLarge(): WarrenError {
	return aiError("body_too_large", `The body is larger than ${aiLimits.maxRequestBytes} bytes.`, {
		details: { maxBodyBytes: aiLimits.maxRequestBytes },
	});
}

/**
 * Reads a request's body as far as is worth holding.
 * @throws WarrenError `body_too_large`; an Error when the client leaves in the middle.
 */
export function readBody(incoming: IncomingMessage, clock: Clock): RequestBody | Promise<RequestBody> {
	const declared = incoming.headers["content-length"];
	if (declared === undefined)
		return incoming.headers["transfer-encoding"] === undefined
			? { kind: "none" }
			: { kind: "passing", stream: counted(incoming), length: null };
	const length = Number(declared);
	if (length > aiLimits.maxRequestBytes) throw tooLarge();
	if (length === 0) return { kind: "none" };
	if (length > aiLimits.maxHeldBytes) return { kind: "passing", stream: incoming, length };
	return new Promise((resolve, reject) => {
		const chunks: Buffer[] = [];
		const late = clock.after(aiLimits.maxUploadIdleMs, () => incoming.destroy(new Error("the body did not come")));
		incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
		incoming.once("end", () => {
			late.cancel();
			resolve({ kind: "held", bytes: chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks) });
		});
		incoming.once("close", () => {
			late.cancel();
			reject(new Error("the client left before its body was there"));
		});
		incoming.once("error", reject);
	});
}

/** Chunked bodies declare no length: counted as they pass. */
function counted(incoming: IncomingMessage): Readable {
	let seen = 0;
	const counter = new Transform({
		transform(chunk: Buffer, _encoding, done) {
			seen += chunk.length;
			if (seen > aiLimits.maxRequestBytes) done(tooLarge());
			else done(null, chunk);
		},
	});
	// What went wrong is told by the request that this body belongs to.
	pipeline(incoming, counter, () => {});
	return counter;
}
