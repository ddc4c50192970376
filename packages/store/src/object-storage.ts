/** The SQLite storage of a Durable Object, as much of it as is used here. */
export interface ObjectStorage {
	readonly sql: {
		exec(sql: string, ...values: readonly unknown[]): { toArray(): Record<string, unknown>[] };
	};
	/** Nobody else's statements run in between; what `work` did is undone when it rejects. */
	transaction<T>(work: () => Promise<T>): Promise<T>;
	transactionSync<T>(work: () => T): T;
}

/** The storage takes no booleans, and of bytes only whole buffers. */
export function toObject(value: unknown): unknown {
	if (typeof value === "boolean") return value ? 1 : 0;
	if (value === undefined) return null;
	if (value instanceof Uint8Array) return value.buffer.slice(value.byteOffset, value.byteOffset + value.byteLength);
	return value;
}

export function fromObject(row: Record<string, unknown>): Record<string, unknown> {
	for (const [name, value] of Object.entries(row)) if (value instanceof ArrayBuffer) row[name] = new Uint8Array(value);
	return row;
}
