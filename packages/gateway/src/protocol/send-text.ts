import { gatewayLimits as limits } from "./limits.ts";

/** What a relay or broadcast that is spelled as JSON.stringify spells it says, with its payload's own bytes. */
export interface SendText {
	readonly type: "gateway_relay" | "gateway_broadcast";
	readonly targetMeshId: string | null;
	readonly id: string | undefined;
	readonly room: string | undefined;
	/** JSON of an object. */
	readonly payload: string;
	readonly value: Record<string, unknown>;
}

const heads = [
	{ type: "gateway_relay", text: '{"type":"gateway_relay","targetMeshId":"' },
	{ type: "gateway_broadcast", text: '{"type":"gateway_broadcast"' },
] as const;
/** Such text stands in JSON as it is. */
const isPlain = /^[A-Za-z0-9._:@ -]*$/;

/**
 * Reads the usual spelling (type, targetMeshId, id, room, payload, without spaces) without building the message: what is
 * passed on most is neither taken apart nor written anew. Only the payload is parsed, and its end must be the message's.
 * @returns null for everything that is spelled otherwise, or wrong: a full parser has the word.
 */
export function readSendText(text: string): SendText | null {
	const head = text.startsWith(heads[0].text) ? heads[0] : text.startsWith(heads[1].text) ? heads[1] : null;
	if (head === null) return null;
	let at = head.text.length;
	let targetMeshId: string | null = null;
	if (head.type === "gateway_relay") {
		const end = text.indexOf('"', at);
		targetMeshId = text.slice(at, end);
		if (end - at > limits.maxMeshIdLength || targetMeshId === "" || !isPlain.test(targetMeshId)) return null;
		at = end + 1;
	}
	let id: string | undefined;
	if (text.startsWith(',"id":"', at)) {
		const end = text.indexOf('"', at + 7);
		id = text.slice(at + 7, end);
		if (!isPlain.test(id)) return null;
		at = end + 1;
	}
	let room: string | undefined;
	if (text.startsWith(',"room":"', at)) {
		const end = text.indexOf('"', at + 9);
		room = text.slice(at + 9, end);
		if (!isPlain.test(room)) return null;
		at = end + 1;
	}
	if (!text.startsWith(',"payload":{', at) || !text.endsWith("}}")) return null;
	const payload = text.slice(at + 11, -1);
	// Counted as it is passed on: whoever wrote spaces into it is judged without them.
	if (payload.length * 3 > limits.payloadBytes && Buffer.byteLength(payload) > limits.payloadBytes) return null;
	try {
		// Whatever follows the payload within the message would not parse here.
		return { type: head.type, targetMeshId, id, room, payload, value: JSON.parse(payload) as Record<string, unknown> };
	} catch {
		return null;
	}
}
