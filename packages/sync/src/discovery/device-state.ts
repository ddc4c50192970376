import { z } from "zod";

/** The room that a client names; which room that is depends on whose session it is. */
export const discoveryRoomId = "_epicenter_discovery";

/** What a device says of itself. Unknown fields pass: they are for other clients. */
const deviceState = z.looseObject({
	type: z.string().min(1).max(40),
	url: z.string().max(500).optional(),
	deviceId: z.string().min(1).max(128),
	capabilities: z.array(z.string().max(60)).max(50).optional(),
	hostname: z.string().max(253).optional(),
});

/** As others see it: what the device says, and beside it what the server knows. */
export interface DeviceState {
	readonly type: string;
	/** HTTPS, or plain HTTP to an overlay address; absent when there is none, or it was refused. */
	readonly url?: string;
	readonly deviceId: string;
	readonly capabilities: readonly string[];
	readonly hostname: string;
	/** Stamped by the server: whose session speaks. */
	readonly userId: string;
	/** Stamped: the session's own device, where it has one. */
	readonly sessionDevice?: string;
	/** Stamped: why an advertised URL is not shown. */
	readonly urlRefused?: string;
}

/** What a machine says of itself. */
export type Advertised = Pick<DeviceState, "type" | "deviceId" | "capabilities" | "hostname"> & {
	readonly url?: string;
};

/** Which URLs a session may advertise, beyond their form; `null` = it may. */
export type UrlClaim = (url: URL) => string | null;

export interface Stamp {
	readonly userId: string;
	readonly sessionDevice?: string;
	readonly claim: UrlClaim;
}

/**
 * Rewrites an awareness state: the server's own fields are the server's to say, whatever was sent under their names.
 * @returns JSON, or null when it is no device's state.
 */
export function stampState(json: string, { userId, sessionDevice, claim }: Stamp): string | null {
	let value: unknown;
	try {
		value = JSON.parse(json);
	} catch {
		return null;
	}
	// Stock clients begin with an empty state, and set theirs later.
	if (isEmptyObject(value)) return JSON.stringify({ userId });
	const parsed = deviceState.safeParse(value);
	if (!parsed.success) return null;
	const { url, userId: _user, sessionDevice: _device, urlRefused: _refused, ...state } = parsed.data;
	const refused = url === undefined ? null : refusedUrl(url, claim);
	return JSON.stringify({
		...state,
		...(url === undefined || refused !== null ? {} : { url }),
		...(refused === null ? {} : { urlRefused: refused }),
		userId,
		...(sessionDevice === undefined ? {} : { sessionDevice }),
	});
}

/** A stamped state, read back. Null for one that says nothing yet. */
export function readDeviceState(json: string): DeviceState | null {
	const parsed = deviceState
		.extend({ userId: z.string(), sessionDevice: z.string().optional(), urlRefused: z.string().optional() })
		.safeParse(JSON.parse(json));
	if (!parsed.success) return null;
	const { type, url, deviceId, capabilities = [], hostname = "", userId, sessionDevice, urlRefused } = parsed.data;
	return {
		type,
		...(url === undefined ? {} : { url }),
		deviceId,
		capabilities,
		hostname,
		userId,
		...(sessionDevice === undefined ? {} : { sessionDevice }),
		...(urlRefused === undefined ? {} : { urlRefused }),
	};
}

const listChange = z.object({ documentsChangedAt: z.number() });

/** What is no device, and says that the person's list of documents changed. */
export function documentsChanged(at: number): string {
	return JSON.stringify({ documentsChangedAt: at });
}

export function saysDocumentsChanged(json: string): boolean {
	return listChange.safeParse(JSON.parse(json)).success;
}

/** Why a URL must not reach others, or null: whoever follows it sends a token there. */
function refusedUrl(text: string, claim: UrlClaim): string | null {
	if (!URL.canParse(text)) return "it is not a URL";
	const url = new URL(text);
	if (url.username !== "" || url.password !== "") return "it holds a credential";
	if (url.protocol === "http:" && !isOverlayAddress(url.hostname)) return "it must be https, or an overlay address";
	if (url.protocol !== "https:" && url.protocol !== "http:") return "it must be https, or an overlay address";
	return claim(url);
}

/** The overlay's addresses, fd5a:1f00::/24 (machines and services): reached through its encryption alone. */
function isOverlayAddress(hostname: string): boolean {
	return /^\[fd5a:1f[0-9a-f]{2}:[0-9a-f:]+\]$/i.test(hostname);
}

function isEmptyObject(value: unknown): boolean {
	return typeof value === "object" && value !== null && !Array.isArray(value) && Object.keys(value).length === 0;
}
