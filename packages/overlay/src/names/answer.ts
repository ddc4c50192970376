import { decode, encode, type Packet } from "dns-packet";

export const overlayDomain = "warren.internal";

/** RFC 1035 §4.1.1. */
const codes = { noError: 0, formatError: 1, noName: 3, notImplemented: 4, refused: 5 } as const;
export const nameLimits = { maxQueryBytes: 512, ttlSeconds: 15 } as const;

/** The addresses of a name below `warren.internal` (without it, lower case); null = no such name. */
export type NameLookup = (name: string) => readonly string[] | null;

export type DnsReading =
	| { readonly kind: "answer"; readonly bytes: Buffer }
	/** Another's domain: for the system's own resolver. */
	| { readonly kind: "foreign"; readonly query: Buffer; readonly refusal: Buffer }
	/** Nothing that is worth an answer. */
	| { readonly kind: "drop" };

/** Answers one query, or says that it is not ours. Knows no sockets. */
export function answerQuery(query: Uint8Array, lookup: NameLookup): DnsReading {
	if (query.length < 12 || query.length > nameLimits.maxQueryBytes) return { kind: "drop" };
	const head = new DataView(query.buffer, query.byteOffset, query.byteLength);
	// An answer is never answered: two resolvers would talk for ever.
	if ((head.getUint8(2) & 0x80) !== 0) return { kind: "drop" };
	let packet: Packet;
	try {
		packet = decode(Buffer.from(query));
	} catch {
		return { kind: "answer", bytes: bare(head.getUint16(0), codes.formatError) };
	}
	const [question] = packet.questions ?? [];
	if (question === undefined || packet.questions?.length !== 1)
		return { kind: "answer", bytes: bare(packet.id ?? 0, codes.formatError) };
	if ((head.getUint8(2) & 0x78) !== 0) return { kind: "answer", bytes: bare(packet.id ?? 0, codes.notImplemented) };
	const asked = question.name.toLowerCase().replace(/\.$/, "");
	const encoded = (code: number, addresses: readonly string[]) =>
		encode({
			type: "response",
			id: packet.id ?? 0,
			// Authoritative; recursion as asked, for resolvers that insist.
			flags: 0x0400 | ((packet.flags ?? 0) & 0x0100) | code,
			questions: [question],
			answers: addresses.map((data) => ({
				type: "AAAA" as const,
				class: "IN" as const,
				name: question.name,
				ttl: nameLimits.ttlSeconds,
				data,
			})),
		});
	const reply = (code: number, addresses: readonly string[]): DnsReading => ({
		kind: "answer",
		bytes: encoded(code, addresses),
	});
	if (asked !== overlayDomain && !asked.endsWith(`.${overlayDomain}`))
		return { kind: "foreign", query: Buffer.from(query), refusal: encoded(codes.refused, []) };
	if (question.class !== undefined && question.class !== "IN" && question.class !== "ANY")
		return reply(codes.refused, []);
	const addresses = asked === overlayDomain ? [] : lookup(asked.slice(0, -overlayDomain.length - 1));
	if (addresses === null) return reply(codes.noName, []);
	return reply(codes.noError, question.type === "AAAA" || (question.type as string) === "ANY" ? addresses : []);
}

/** `Burrow 2` → `burrow-2`: a display name as one DNS label; empty when nothing of it remains. */
export function labelOf(name: string): string {
	return name
		.normalize("NFKD")
		.toLowerCase()
		.replace(/[^a-z0-9-]+/g, "-")
		.replace(/^-+|-+$/g, "")
		.slice(0, 63);
}

function bare(id: number, code: number): Buffer {
	return encode({ type: "response", id, flags: code, questions: [], answers: [] });
}
