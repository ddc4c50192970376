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
}

export interface AuditRecord extends AuditEvent {
	readonly id: number;
	/** Milliseconds since the Unix epoch. */
	readonly at: number;
}

export interface Audit {
	record(event: AuditEvent): void;
	/** Newest first. @param before only records with a smaller id; for paging. */
	list(options: { readonly limit: number; readonly before?: number }): Promise<AuditRecord[]>;
}
