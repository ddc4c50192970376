import { aiError } from "../errors.ts";
import { type Provider, providerIds, providers } from "../providers/provider-table.ts";
import type { KeyFile } from "./key-file.ts";

/** Where a provider's key is found. Never the key itself. */
export type KeySource = "file" | "environment" | "not-needed" | "none";

/**
 * The hub's keys: what `warren keys set` wrote, else the environment variable. The file comes first, because it was said
 * later and by hand. Google's SDKs know two names for one key.
 */
export class ProviderKeys {
	readonly #file: KeyFile | null;
	readonly #environment: ReadonlyMap<string, string>;

	/** @param environment the providers' variables alone: `readKeyVariables`. */
	constructor(file: KeyFile | null, environment: ReadonlyMap<string, string>) {
		this.#file = file;
		this.#environment = environment;
	}

	/** @throws WarrenError `no_provider_key`, naming the variable. */
	get(provider: Provider): string | null {
		if (provider.keyVariable === null) return null;
		const key = this.#file?.get(provider.keyVariable) ?? this.#environment.get(provider.keyVariable);
		if (key !== undefined) return key;
		throw aiError("no_provider_key", `This hub has no key for ${provider.name}: ${provider.keyVariable} is not set.`, {
			fix: `Run on the hub's machine: warren keys set ${provider.id}`,
			details: { provider: provider.id, variable: provider.keyVariable },
		});
	}

	sourceOf(provider: Provider): KeySource {
		if (provider.keyVariable === null) return "not-needed";
		if (this.#file?.get(provider.keyVariable) !== undefined) return "file";
		return this.#environment.has(provider.keyVariable) ? "environment" : "none";
	}
}

/** The keys in an environment, by their variable. */
export function readKeyVariables(environment: Readonly<Record<string, string | undefined>>): Map<string, string> {
	const found = new Map<string, string>();
	for (const id of providerIds) {
		const { keyVariable } = providers[id];
		const value = keyVariable === null ? undefined : environment[keyVariable]?.trim();
		if (keyVariable !== null && value !== undefined && value !== "") found.set(keyVariable, value);
	}
	const gemini = environment["GEMINI_API_KEY"]?.trim();
	if (gemini !== undefined && gemini !== "" && !found.has("GOOGLE_API_KEY")) found.set("GOOGLE_API_KEY", gemini);
	return found;
}
