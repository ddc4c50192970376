import type { AccountStore } from "./account.ts";
import { bearer } from "./client.ts";
import { bodyOf, type ExchangeOptions, exchange, readJson, refusalOf } from "./exchange.ts";
import type { Profile } from "./hub-types.ts";

export interface HubOptions extends ExchangeOptions {
	/** Replaces the kept session: null sends none. */
	readonly token?: string | null;
}

/** The hub, on this page's own origin: the node that served it is the hub, or passes on to it. */
export interface Hub {
	request<T>(path: string, options?: HubOptions): Promise<T>;
	bytes(path: string, options?: HubOptions): Promise<Uint8Array>;
	/** Takes a session that the hub just gave, and learns whose it is. */
	adopt(token: string): Promise<void>;
	/**
	 * A step of a sign-in.
	 * @returns the body, after the session in it was adopted; a second factor is asked for when it holds none.
	 */
	signIn(path: string, body: unknown, options?: HubOptions): Promise<{ readonly twoFactor: boolean }>;
	readonly account: AccountStore;
}

/** Names the session that a sign-in makes. */
const deviceHeader = "x-warren-device";

export function createHub(account: AccountStore, fetch: typeof globalThis.fetch, deviceName: () => string): Hub {
	async function ask(path: string, options: HubOptions): Promise<Response> {
		const token = options.token === undefined ? account.get()?.token : (options.token ?? undefined);
		const authorization = bearer(token === undefined ? undefined : { token });
		const response = await exchange(fetch, path, {
			...options,
			headers: { ...(authorization === undefined ? {} : { authorization }), ...options.headers },
		});
		// A definite no, about the session that was kept: "hub away" is 503, and keeps it.
		if (response.status === 401 && options.token === undefined && token !== undefined) {
			const refusal = refusalOf(response, await readJson(response));
			if (refusal.code === "unauthorized") account.drop(token);
			throw refusal;
		}
		return response;
	}

	async function request<T>(path: string, options: HubOptions = {}): Promise<T> {
		return bodyOf<T>(await ask(path, options));
	}

	async function adopt(token: string): Promise<void> {
		const { user, deviceId } = await request<Profile>("/me", { token });
		account.put({ token, deviceId, userId: user.id, name: user.name, email: user.email, savedAt: Date.now() });
	}

	return {
		account,
		request,
		adopt,
		async bytes(path, options = {}) {
			const response = await ask(path, options);
			if (!response.ok) throw refusalOf(response, await readJson(response));
			return new Uint8Array(await response.arrayBuffer());
		},
		async signIn(path, body, options = {}) {
			const response = await exchange(fetch, path, {
				method: "POST",
				body,
				cookies: true,
				...options,
				headers: { [deviceHeader]: encodeURIComponent(deviceName()), ...options.headers },
			});
			const answer = await bodyOf<{ token?: unknown; twoFactorRedirect?: unknown }>(response);
			if (answer.twoFactorRedirect === true) return { twoFactor: true };
			const signed = response.headers.get("set-auth-token");
			const token = signed === null ? answer.token : decodeURIComponent(signed).split(".")[0];
			if (typeof token !== "string") throw refusalOf(response, { message: "The hub answered without a session." });
			await adopt(token);
			return { twoFactor: false };
		},
	};
}
