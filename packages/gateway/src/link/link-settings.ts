import type { Statements } from "@warren/store";

/** Whom this mesh talks with; `allow` null = everybody that is not blocked. */
export interface AccessLists {
	readonly allow: readonly string[] | null;
	readonly block: readonly string[];
}

/** A gateway that has this mesh's key, so that its secret need not be sent there. */
interface KeyedAt {
	readonly gatewayUrl: string;
	readonly meshId: string;
	readonly publicKey: string;
}

/** What was decided on this machine about federation, in its database. */
export class KeptSettings {
	readonly #statements: Statements;
	#access: AccessLists;

	constructor(statements: Statements) {
		this.#statements = statements;
		this.#access = this.#read<AccessLists>("access") ?? { allow: null, block: [] };
	}

	get access(): AccessLists {
		return this.#access;
	}

	set access(lists: AccessLists) {
		this.#write("access", lists);
		this.#access = lists;
	}

	admits(meshId: string): boolean {
		const { allow, block } = this.#access;
		return !block.includes(meshId) && (allow === null || allow.includes(meshId));
	}

	isKeyedAt(place: KeyedAt): boolean {
		return JSON.stringify(this.#read("keyed-at")) === JSON.stringify(placeOf(place));
	}

	keyedAt(place: KeyedAt | null): void {
		this.#write("keyed-at", place === null ? null : placeOf(place));
	}

	#read<T>(name: string): T | null {
		const [row] = this.#statements.all<{ value: string }>(
			"SELECT value FROM gateway_link_settings WHERE name = ?",
			name,
		);
		return row === undefined ? null : (JSON.parse(row.value) as T);
	}

	#write(name: string, value: unknown): void {
		this.#statements.run(
			"INSERT INTO gateway_link_settings (name, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
			name,
			JSON.stringify(value),
		);
	}
}

/** In one order of its members. */
const placeOf = ({ gatewayUrl, meshId, publicKey }: KeyedAt): KeyedAt => ({ gatewayUrl, meshId, publicKey });
