import { defineErrors } from "@warren/kernel";
import { aiError } from "../errors.ts";
import { type Provider, type ProviderId, providerIds, providers } from "./provider-table.ts";

const originError = defineErrors({ bad_config: { status: 500 }, unsafe_config: { status: 500 } });

export const defaultOllamaHost = "http://localhost:11434";

export type OllamaHost =
	| { readonly kind: "at"; readonly origin: string }
	| { readonly kind: "not-configured" }
	/** No local models in a cloud. */
	| { readonly kind: "cloud" };

export interface OriginOptions {
	/** By provider, as an administrator set them in the environment. */
	readonly overrides: Readonly<Partial<Record<ProviderId, string>>>;
	/** OLLAMA_HOST; undefined = unset, "" = explicitly none. */
	readonly ollamaHost: string | undefined;
	/** Whether this hub is a cloud's, not a person's. */
	readonly cloud: boolean;
}

/** Where each provider is reached. A caller never has a say in it: a stored key goes to these origins alone. */
export class ProviderOrigins {
	readonly #options: OriginOptions;
	/** By an administrator, at run time; null = as the environment says. */
	#ollama: string | null = null;

	constructor(options: OriginOptions) {
		this.#options = options;
	}

	/** @param host "" = none, null = back to the environment. @throws WarrenError `bad_setting`. */
	setOllamaHost(host: string | null): void {
		this.#ollama = host === null || host === "" ? host : parseOllamaHost(host);
	}

	get ollama(): OllamaHost {
		if (this.#options.cloud) return { kind: "cloud" };
		const set = this.#ollama ?? this.#options.ollamaHost;
		if (set === undefined) return { kind: "at", origin: defaultOllamaHost };
		return set === "" ? { kind: "not-configured" } : { kind: "at", origin: parseOllamaHost(set) };
	}

	/** @throws WarrenError `ollama_not_configured`, `ollama_in_cloud`. */
	of(provider: Provider): string {
		if (provider.id !== "ollama") return this.#options.overrides[provider.id] ?? (provider.origin as string);
		const host = this.ollama;
		switch (host.kind) {
			case "at":
				return host.origin;
			case "not-configured":
				throw aiError("ollama_not_configured", "Ollama is not configured on this server");
			case "cloud":
				throw aiError(
					"ollama_in_cloud",
					"Ollama is not available on Warren Cloud. Use a cloud provider or switch to a self-hosted server.",
				);
		}
	}

	isOverridden(provider: ProviderId): boolean {
		return this.#options.overrides[provider] !== undefined;
	}
}

/**
 * The providers' origins from the environment.
 * @throws WarrenError `bad_config`, `unsafe_config` (a key in the clear to another network).
 */
export function readOrigins(environment: Readonly<Record<string, string | undefined>>): OriginOptions["overrides"] {
	const overrides: Partial<Record<ProviderId, string>> = {};
	for (const id of providerIds) {
		const { originVariable, origin } = providers[id];
		const text = environment[originVariable];
		if (origin === null || text === undefined || text === "") continue;
		overrides[id] = parseOrigin(originVariable, text);
	}
	return overrides;
}

function parseOrigin(variable: string, text: string): string {
	const url = URL.canParse(text) ? new URL(text) : null;
	const bare =
		url !== null && [url.username, url.password, url.search, url.hash].join("") === "" && url.pathname === "/";
	if (url === null || !bare || !/^https?:$/.test(url.protocol))
		throw originError("bad_config", `${variable} is "${text.slice(0, 120)}", which is no origin.`, {
			fix: "Give scheme, host and port alone, like https://gateway.example:8443.",
		});
	if (url.protocol === "http:" && !isPrivate(url.hostname))
		throw originError("unsafe_config", `${variable} is ${url.origin}: the key would cross networks in the clear.`, {
			fix: "Use https, or an address of this machine or a private network.",
		});
	return url.origin;
}

/** Ollama's own forms: an origin, `host:port`, or a host alone. */
function parseOllamaHost(text: string): string {
	const withScheme = /^https?:\/\//.test(text) ? text : `http://${text}`;
	const url = URL.canParse(withScheme) ? new URL(withScheme) : null;
	if (url === null || url.username !== "" || url.password !== "" || url.search !== "" || url.pathname !== "/")
		throw aiError("bad_setting", `"${text.slice(0, 120)}" is no address of an Ollama.`, {
			fix: "Give it like http://192.168.1.20:11434.",
		});
	// Listening on all addresses is how one is told to serve; it is reached at this machine's own.
	const hostname = url.hostname === "0.0.0.0" ? "localhost" : url.hostname;
	const port =
		url.port === "" ? (/:\d+$/.test(withScheme) || url.protocol === "https:" ? "" : ":11434") : `:${url.port}`;
	return `${url.protocol}//${hostname}${port}`;
}

function isPrivate(hostname: string): boolean {
	return (
		/^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname) ||
		/^(10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|169\.254\.)/.test(hostname) ||
		/^\[f[cd][0-9a-f]{2}:/i.test(hostname) ||
		/\.(internal|local)$/.test(hostname)
	);
}
