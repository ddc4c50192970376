import type { FrontTls, SharedSecrets } from "@warren/backbone";
import { messageOf } from "@warren/kernel";
import type { Client } from "acme-client";
import type { DataFolder } from "../../config/data-folder.ts";
import { acmeLibrary, authorityAnswerMs } from "./acme-library.ts";
import type { ChallengeSolver } from "./challenges.ts";
import { acmeError } from "./errors.ts";

/** The authority's answers are waited for this often and long (RFC 8555 §7.5.1): about two minutes in all. */
const polling = { backoffAttempts: 12, backoffMin: 500, backoffMax: 15_000 };

/** Where the key of an account is kept. */
export interface AccountKeyStore {
	read(): Promise<string | null>;
	/** @returns the one that stands: another node may have been faster. */
	keep(pem: string): Promise<string>;
}

/** In the data folder, beside the certificates. */
export function ownAccountKey(data: DataFolder): AccountKeyStore {
	return {
		read: async () => data.read("backbone", "acme", "account.key"),
		keep: async (pem) => {
			data.write(pem, "backbone", "acme", "account.key");
			return pem;
		},
	};
}

const sharedName = "acme.account";

/** In the tables of all nodes: the authority counts orders by account. */
export function sharedAccountKey(secrets: SharedSecrets): AccountKeyStore {
	const read = async () => (await secrets.read(sharedName))?.text ?? null;
	return {
		read,
		keep: async (pem) => ((await secrets.write(sharedName, pem, 0)) ? pem : ((await read()) ?? pem)),
	};
}

/** An account at a certificate authority (RFC 8555). Its key is kept; the rest is there. */
export class AcmeAccount {
	readonly #keys: AccountKeyStore;
	readonly #directory: string;
	readonly #email: string | undefined;
	readonly #answerMs: number;
	#client: Promise<Client> | null = null;

	constructor(keys: AccountKeyStore, directory: string, email: string | undefined, answerMs = authorityAnswerMs) {
		this.#keys = keys;
		this.#directory = directory;
		this.#email = email;
		this.#answerMs = answerMs;
	}

	/** Proves every name and gets one certificate for them. @throws WarrenError, Error of the authority. */
	async order(names: readonly string[], solver: ChallengeSolver): Promise<FrontTls> {
		const acme = await acmeLibrary(this.#answerMs);
		const client = await this.#opened();
		const key = (await acme.crypto.createPrivateEcdsaKey("P-256")).toString();
		const [, csr] = await acme.crypto.createCsr({ commonName: names[0] as string, altNames: [...names] }, key);
		try {
			const cert = await client.auto({
				csr,
				termsOfServiceAgreed: true,
				skipChallengeVerification: true,
				challengePriority: [solver.type],
				challengeCreateFn: ({ identifier }, challenge, proof) => solver.put(identifier.value, challenge.token, proof),
				challengeRemoveFn: ({ identifier }, challenge, proof) =>
					solver.remove(identifier.value, challenge.token, proof),
			});
			return { cert, key };
		} catch (cause) {
			throw acmeError("no_certificate", messageOf(cause).replace(/\.$/, ""), { cause });
		}
	}

	/** Asks for the account once; a failure is forgotten, so that the next order asks again. */
	#opened(): Promise<Client> {
		this.#client ??= this.#open().catch((fault: unknown) => {
			this.#client = null;
			throw fault;
		});
		return this.#client;
	}

	async #open(): Promise<Client> {
		const acme = await acmeLibrary(this.#answerMs);
		const accountKey =
			(await this.#keys.read()) ??
			(await this.#keys.keep((await acme.crypto.createPrivateEcdsaKey("P-256")).toString()));
		const client = new acme.Client({ directoryUrl: this.#directory, accountKey, ...polling });
		// The same key finds the same account.
		await client.createAccount({
			termsOfServiceAgreed: true,
			...(this.#email === undefined ? {} : { contact: [`mailto:${this.#email}`] }),
		});
		return client;
	}
}
