/** Who did what to what, with which outcome. Append-only; kept in the store, read by operators. */
export interface AuditEvent {
	/** `describeIdentity` of who asked, or `anonymous`. */
	readonly actor: string;
	/** Dotted: `device.create`, `peer.pin.delete`. */
	readonly action: string;
	/** What it was done to; an identifier, never a secret. */
	readonly target: string;
	readonly outcome: "ok" | "refused" | "failed";
	/** The client's address, or empty. */
	readonly address: string;
	readonly details?: Readonly<Record<string, unknown>>;
	/** Whose event it is, where several roles write one log: `hub`, `rooms`. */
	readonly role?: string;
}

export interface AuditRecord extends AuditEvent {
	readonly id: number;
	/** Milliseconds since the Unix epoch. */
	readonly at: number;
	readonly role: string;
}

/** Which records; newest first. */
export interface AuditQuery {
	readonly limit: number;
	/** Only records with a smaller id; for paging. */
	readonly before?: number;
	readonly role?: string;
	/** Exactly, as `describeIdentity` wrote it. */
	readonly actor?: string;
}

export interface Audit {
	record(event: AuditEvent): void;
	list(query: AuditQuery): Promise<AuditRecord[]>;
}

/** The same log, for a role beside the one that owns it. */
export function auditAs(audit: Audit, role: string): Audit {
	return { record: (event) => audit.record({ role, ...event }), list: (query) => audit.list(query) };
}
