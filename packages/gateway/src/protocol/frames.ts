import { z } from "zod";
import { gatewayLimits as limits } from "./limits.ts";
import { readSendText } from "./send-text.ts";

/** The messages of SPEC.md's table. Parsers bound every field and never throw. */

export const features = ["receipts", "ordered", "queue", "events", "interest"] as const;
export type Feature = (typeof features)[number];

export interface Participant {
	readonly id: string;
	readonly name: string;
	readonly type: string;
}

export interface Instance {
	readonly meshId: string;
	readonly name: string;
	readonly publicRooms: readonly string[];
}

export interface ParticipantGroup {
	readonly meshId: string;
	readonly meshName: string;
	readonly participants: readonly Participant[];
}

export type Outcome = "delivered" | "queued" | "offline" | "rejected";

export const meshIdPattern = /^[A-Za-z0-9][A-Za-z0-9._:@-]*$/;
const idPattern = /^[A-Za-z0-9._:-]+$/;

const meshId = z.string().min(1).max(limits.maxMeshIdLength);
const roomName = z.string().min(1).max(limits.maxRoomNameLength);
const rooms = z.array(roomName).max(limits.maxRooms);
const label = z.string().max(limits.maxNameLength);
const participants = z
	.array(
		z.object({
			id: z
				.string()
				.min(1)
				.max(limits.maxIdLength * 2),
			name: label,
			type: z.string().max(32),
		}),
	)
	.max(limits.maxParticipants);
const accessList = z.array(meshId).max(limits.maxAccessEntries);
const encoded = z.string().max(limits.maxSecretLength);

const authSchema = z.object({
	meshId,
	secret: z.string().max(limits.maxSecretLength).optional(),
	publicKey: encoded.optional(),
	nonce: encoded.optional(),
	signature: encoded.optional(),
	publicRooms: rooms.nullish().transform((each) => each ?? []),
	participants: participants.nullish().transform((each) => each ?? []),
	features: z.array(z.string().max(32)).max(limits.maxFeatures).optional(),
});
export type AuthMessage = z.infer<typeof authSchema>;

const controlSchemas = {
	gateway_update_rooms: z.object({ type: z.literal("gateway_update_rooms"), publicRooms: rooms }),
	gateway_update_participants: z.object({ type: z.literal("gateway_update_participants"), participants }),
	gateway_interest: z.object({ type: z.literal("gateway_interest"), rooms }),
	gateway_access: z.object({
		type: z.literal("gateway_access"),
		allow: accessList.nullable(),
		block: accessList,
	}),
	gateway_ping: z.object({ type: z.literal("gateway_ping"), token: z.string().max(64).optional() }),
	gateway_pong: z.object({ type: z.literal("gateway_pong") }),
	gateway_discover: z.object({ type: z.literal("gateway_discover") }),
} as const;

/** Checked by hand: one passes for every message that anybody sends. */
export interface SendMessage {
	readonly type: "gateway_relay" | "gateway_broadcast";
	/** Null for a broadcast. */
	readonly targetMeshId: string | null;
	/** The payload as JSON, once: every receiver gets these bytes. */
	readonly payload: string;
	/** Null from clients without receipts. */
	readonly id: string | null;
	readonly room: string | null;
	readonly ttlMs: number | null;
}

/** As it came, unchecked. */
interface Sent {
	readonly targetMeshId?: unknown;
	readonly payload?: unknown;
	readonly id?: unknown;
	readonly room?: unknown;
	readonly ttlMs?: unknown;
}

/** Checked by hand, as often as messages come. */
interface AckMessage {
	readonly type: "gateway_ack";
	readonly count: number;
}

export type ControlMessage = AckMessage | z.infer<(typeof controlSchemas)[keyof typeof controlSchemas]>;
export type ClientMessage =
	| { readonly type: "gateway_auth"; readonly auth: AuthMessage }
	| SendMessage
	| ControlMessage;

/** @returns the message, or what is wrong with it, for its sender. */
export function parseClientMessage(text: string): ClientMessage | { readonly type: "fault"; readonly message: string } {
	const send = readSendText(text);
	if (send !== null) return readSend(send.type, { ...send, payload: send.value }, send.payload);
	let parsed: unknown;
	try {
		parsed = JSON.parse(text);
	} catch {
		return fault("Invalid JSON");
	}
	if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed))
		return fault("A message is a JSON object with a type");
	const message = parsed as Record<string, unknown>;
	const { type } = message;
	if (typeof type !== "string") return fault("A message is a JSON object with a type");
	if (type === "gateway_relay" || type === "gateway_broadcast") return readSend(type, message, null);
	if (type === "gateway_ack") return readAck(message["count"]);
	if (type === "gateway_auth") {
		const auth = authSchema.safeParse(message);
		return auth.success ? { type, auth: auth.data } : fault(`${type}: ${firstIssue(auth.error)}`);
	}
	if (!Object.hasOwn(controlSchemas, type)) return fault(`Unknown message type "${type.slice(0, 40)}"`);
	const control = controlSchemas[type as keyof typeof controlSchemas].safeParse(message);
	return control.success ? control.data : fault(`${type}: ${firstIssue(control.error)}`);
}

function readAck(count: unknown): AckMessage | Fault {
	if (!Number.isSafeInteger(count) || (count as number) < 0)
		return fault("gateway_ack: count must be a whole number from 0 on");
	return { type: "gateway_ack", count: count as number };
}

/** @param written the payload's own JSON, where it is known. */
function readSend(type: SendMessage["type"], message: Sent, written: string | null): ClientMessage | Fault {
	const { payload, targetMeshId, id, room, ttlMs } = message;
	if (typeof payload !== "object" || payload === null || Array.isArray(payload))
		return fault(`${type}: payload must be an object`);
	if (type === "gateway_relay" && (typeof targetMeshId !== "string" || targetMeshId === ""))
		return fault(`${type}: targetMeshId must be a string`);
	if (id !== undefined && (typeof id !== "string" || id.length > limits.maxIdLength || !idPattern.test(id)))
		return fault(`${type}: id must be 1 to ${limits.maxIdLength} letters, digits, dots, colons, dashes or underscores`);
	if (room !== undefined && (typeof room !== "string" || room === "" || room.length > limits.maxRoomNameLength))
		return fault(`${type}: room must be 1 to ${limits.maxRoomNameLength} characters`);
	if (ttlMs !== undefined && (!Number.isInteger(ttlMs) || (ttlMs as number) < 0 || (ttlMs as number) > limits.maxTtlMs))
		return fault(`${type}: ttlMs must be between 0 and ${limits.maxTtlMs}`);
	const json = written ?? jsonOf(payload);
	if (json === null) return fault(`${type}: payload is nested too deeply`);
	return {
		type,
		targetMeshId: type === "gateway_relay" ? (targetMeshId as string).slice(0, limits.maxMeshIdLength) : null,
		payload: json,
		id: (id as string | undefined) ?? null,
		room: (room as string | undefined) ?? roomOfPayload(payload as Record<string, unknown>),
		ttlMs: (ttlMs as number | undefined) ?? null,
	};
}

/** Null = nested more deeply than JSON can be written, which is less than it can be read. */
function jsonOf(payload: object): string | null {
	try {
		return JSON.stringify(payload);
	} catch {
		return null;
	}
}

/** Clients of the original name the room inside their payload alone. */
function roomOfPayload(payload: Record<string, unknown>): string | null {
	const { message } = payload;
	if (typeof message !== "object" || message === null) return null;
	const { roomName: name } = message as Record<string, unknown>;
	return typeof name === "string" && name !== "" && name.length <= limits.maxRoomNameLength ? name : null;
}

/** `gateway_incoming` in both dialects, around a payload that is JSON already. */
export function encodeIncoming(
	/** `incomingHead` of its sender. */
	head: string,
	payload: string,
	extra: { readonly id: string; readonly room: string | null } | null,
): string {
	if (extra === null) return `${head},"payload":${payload}}`;
	const room = extra.room === null ? "" : `,"room":${JSON.stringify(extra.room)}`;
	return `${head},"id":"${extra.id}"${room},"payload":${payload}}`;
}

/** What everything from one mesh begins with. */
export const incomingHead = (from: { readonly meshId: string; readonly name: string }): string =>
	`{"type":"gateway_incoming","fromMeshId":${JSON.stringify(from.meshId)},"fromMeshName":${JSON.stringify(from.name)}`;

export interface Receipt {
	readonly id: string;
	readonly outcome: Outcome;
	readonly code?: string;
	readonly message?: string;
	readonly retryAfterMs?: number;
	readonly delivered?: number;
	readonly queued?: number;
	readonly offline?: number;
}

export function encodeReceipt(receipt: Receipt): string {
	const { id, outcome } = receipt;
	// An id needs no escapes (`idPattern`).
	if (receipt.delivered === undefined && receipt.code === undefined)
		return `{"type":"gateway_receipt","id":"${id}","outcome":"${outcome}"}`;
	return JSON.stringify({ type: "gateway_receipt", ...receipt });
}

/** What a client signs (rule G3). */
export const challengeText = (host: string, mesh: string, nonce: string): string =>
	`warren-gateway-v1\n${host.toLowerCase()}\n${mesh}\n${nonce}`;

interface Fault {
	readonly type: "fault";
	readonly message: string;
}

function fault(message: string): Fault {
	return { type: "fault", message };
}

function firstIssue(error: z.ZodError): string {
	const issue = error.issues[0];
	return issue === undefined ? "malformed" : `${issue.path.join(".") || "the message"}: ${issue.message}`;
}

export const encodeGroups = (remoteParticipants: readonly ParticipantGroup[]): string =>
	JSON.stringify({ type: "gateway_participants", remoteParticipants });
