import { type Credential, type CredentialStore, refusedBy } from "./credentials.ts";
import { bodyOf, type ExchangeOptions, exchange } from "./exchange.ts";
import { type MachineId, pathOn, self } from "./machine.ts";

export interface RequestOptions extends Omit<ExchangeOptions, "cookies"> {
	/** Replaces the machine's stored token: Basic at sign-in, a share's bearer; null sends none. */
	readonly authorization?: string | null;
}

export interface Api {
	request<T>(machine: MachineId, path: string, options?: RequestOptions): Promise<T>;
	/** The headers that prove this browser to a machine: for uploads, which need progress and so no fetch. */
	headersFor(machine: MachineId, authorization?: string | null): Record<string, string>;
	readonly credentials: CredentialStore;
}

export function createApi(credentials: CredentialStore, fetch: typeof globalThis.fetch): Api {
	function headersFor(machine: MachineId, authorization?: string | null): Record<string, string> {
		const own = bearer(credentials.get(self));
		if (machine === self) return withDefined({ authorization: authorization === undefined ? own : authorization });
		return withDefined({
			authorization: own,
			"x-mobux-upstream-authorization": authorization === undefined ? bearer(credentials.get(machine)) : authorization,
		});
	}

	async function request<T>(machine: MachineId, path: string, options: RequestOptions = {}): Promise<T> {
		const sent = headersFor(machine, options.authorization);
		const response = await exchange(fetch, pathOn(machine, path), {
			...options,
			headers: { ...sent, ...options.headers },
		});
		if (response.status === 401 && options.authorization === undefined) {
			const refused = refusedBy(machine, (name) => response.headers.get(name)).machine;
			const token = sentToken(sent, refused);
			if (token !== undefined) credentials.drop(refused, token);
		}
		return bodyOf<T>(response);
	}

	return { request, headersFor, credentials };
}

export function bearer(credential: Pick<Credential, "token"> | undefined): string | undefined {
	return credential === undefined ? undefined : `Bearer ${credential.token}`;
}

/** `Authorization: Basic` of any text, not only Latin-1. */
export function basic(user: string, pin: string): string {
	let binary = "";
	for (const byte of new TextEncoder().encode(`${user}:${pin}`)) binary += String.fromCharCode(byte);
	return `Basic ${btoa(binary)}`;
}

function sentToken(sent: Readonly<Record<string, string>>, refused: MachineId): string | undefined {
	const header = refused === self ? sent.authorization : sent["x-mobux-upstream-authorization"];
	return header?.startsWith("Bearer ") ? header.slice(7) : undefined;
}

function withDefined(headers: Readonly<Record<string, string | null | undefined>>): Record<string, string> {
	return Object.fromEntries(
		Object.entries(headers).filter((entry): entry is [string, string] => typeof entry[1] === "string"),
	);
}
