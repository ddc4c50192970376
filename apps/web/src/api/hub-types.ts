/** The shapes of docs/api-hub.md and docs/api-sync.md that this page uses. Times are milliseconds since the Unix epoch. */
export interface Person {
	id: string;
	name: string;
	email: string;
	role: "owner" | "admin" | "user";
	admin: boolean;
	twoFactor: boolean;
	createdAt: number;
}

export interface Profile {
	user: Person;
	deviceId: string;
	expiresAt: number;
}

export interface AccountDevice {
	id: string;
	name: string;
	address: string;
	userAgent: string;
	createdAt: number;
	lastSeenAt: number;
	expiresAt: number;
	current: boolean;
}

export interface Invitation {
	id: string;
	role: "user" | "admin";
	email: string | null;
	createdAt: number;
	expiresAt: number;
}

export interface Pairing {
	id: string;
	state: "waiting" | "claimed" | "confirmed" | "denied";
	deviceName: string;
	address: string;
	expiresAt: number;
}

/** As the account library writes it: dates are ISO strings. */
export interface ApiKey {
	id: string;
	name: string | null;
	start: string | null;
	createdAt: string;
	lastRequest: string | null;
	expiresAt: string | null;
}

export interface Passkey {
	id: string;
	name?: string | null;
	createdAt?: string | null;
}

/** A machine of the warren, as its hub lists it. */
export interface Machine {
	nodeId: string;
	name: string;
	hosts: string[];
	port: number;
	version: string;
	ownerId: string;
	joinedAt: number;
	lastSeenAt: number | null;
	online: boolean;
	hub: boolean;
}

export type DocumentAccess = "owner" | "read-write" | "read-only";

export interface DocumentRecord {
	id: string;
	title: string;
	owner: string;
	access: DocumentAccess;
	createdAt: number;
	updatedAt: number;
}

export interface DocumentShare {
	user: string;
	access: "read-only" | "read-write";
	createdAt: number;
}

export interface Checkpoint {
	id: number;
	at: number;
	bytes: number;
	/** `periodic`, or why it was made. */
	label: string;
}
