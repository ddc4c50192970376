import type { FrontTls } from "@warren/backbone";
import { messageOf } from "@warren/kernel";
import type { Client } from "acme-client";
import type { DataFolder } from "../../config/data-folder.ts";
import type { ChallengeSolver } from "./challenges.ts";
import { acmeError } from "./errors.ts";

/** The authority's answers are waited for this often and long (RFC 8555 §7.5.1): about two minutes in all. */
const polling = { backoffAttempts: 12, backoffMin: 500, backoffMax: 15_000 };

/** An account at a certificate authority (RFC 8555). Its key lies beside the certificates; the rest is there. */
export class AcmeAccount {
	readonly #data: DataFolder;
	readonly #directory: string;
	readonly #email: string | undefined;
	#client: Promise<Client> | null = null;

	constructor(data: DataFolder, directory: string, email: string | undefined) {
		this.#data = data;
		this.#directory = directory;
		this.#email = email;
	}

	/** Proves every name and gets one certificate for them. @throws WarrenError, Error of the authority. */
	async order(names: readonly string[], solver: ChallengeSolver): Promise<FrontTls> {
		const acme = await import("acme-client");
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
		const acme = await import("acme-client");
		let accountKey = this.#data.read("backbone", "acme", "account.key");
		if (accountKey === null) {
			accountKey = (await acme.crypto.createPrivateEcdsaKey("P-256")).toString();
			this.#data.write(accountKey, "backbone", "acme", "account.key");
		}
		const client = new acme.Client({ directoryUrl: this.#directory, accountKey, ...polling });
		// The same key finds the same account.
		await client.createAccount({
			termsOfServiceAgreed: true,
			...(this.#email === undefined ? {} : { contact: [`mailto:${this.#email}`] }),
		});
		return client;
	}
}
