import { backboneError } from "../errors.ts";
import type { SigningKeyStore, StoredSigningKey } from "../identity/signing-keys.ts";
import type { SharedSecrets } from "./shared-secrets.ts";

const name = "jwt-keys";

/**
 * The signing keys that all nodes share. Whoever replaces one does it for all of them.
 * @param first what the first node begins with, oldest first; null = they must stand already. @throws WarrenError `no_signing_keys`.
 */
export async function sharedSigningKeys(
	secrets: SharedSecrets,
	first: readonly StoredSigningKey[] | null,
): Promise<SigningKeyStore> {
	let version = 0;
	const reload = async (): Promise<readonly StoredSigningKey[]> => {
		const found = await secrets.read(name);
		if (found === null) throw backboneError("no_signing_keys", "The tables that the nodes share hold no signing keys.");
		version = found.version;
		return JSON.parse(found.text) as StoredSigningKey[];
	};
	if (first !== null && (await secrets.read(name)) === null) await secrets.write(name, JSON.stringify(first), 0);
	const keys = await reload();
	return { keys, save: (changed) => secrets.write(name, JSON.stringify(changed), version), reload };
}
