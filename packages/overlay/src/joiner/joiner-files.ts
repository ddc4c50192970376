import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Logger, Random } from "@warren/kernel";
import { z } from "zod";
import { canonicalUla } from "../addresses.ts";
import { publicKeyOf } from "../protocol/probe.ts";

const identitySchema = z.object({
	peer_id: z.string(),
	ula: z.string().refine((ula) => canonicalUla(ula) !== null, "must be an address of the overlay"),
	network: z.string(),
	coordinator: z.string(),
});
export type JoinerIdentity = z.infer<typeof identitySchema>;

const childSchema = z.object({ name: z.string(), public_key: z.string(), ula: z.string(), peer_id: z.string() });
export type StaticDevice = z.infer<typeof childSchema>;

const signedSchema = z.object({
	roster: z.string(),
	signature: z.string().nullable(),
	certificate: z.string().nullable(),
});

/** What a joiner keeps: secrets 0600, each file whole or not there. One that holds nonsense is set aside as `.corrupt`. */
export class JoinerFiles {
	readonly folder: string;
	readonly #logger: Logger;

	constructor(folder: string, logger: Logger) {
		this.folder = resolve(folder);
		this.#logger = logger;
		mkdirSync(this.folder, { recursive: true, mode: 0o700 });
		if (readdirSync(this.folder).length === 0) chmodSync(this.folder, 0o700);
	}

	/** The WireGuard private key, 32 bytes; made once. */
	privateKey(random: Random): Uint8Array {
		const kept = this.#read("private.key", (text) => {
			const bytes = Buffer.from(text.trim(), "base64");
			if (bytes.length !== 32) throw new Error("it is not 32 bytes of base64");
			// Whatever OpenSSL refuses is no key.
			publicKeyOf(bytes);
			return new Uint8Array(bytes);
		});
		if (kept !== null) return kept;
		const made = Uint8Array.from(random.bytes(32));
		// RFC 7748 §5: as WireGuard's own tools clamp it.
		made[0] = (made[0] as number) & 248;
		made[31] = ((made[31] as number) & 127) | 64;
		this.write("private.key", `${Buffer.from(made).toString("base64")}\n`);
		return made;
	}

	identity(): JoinerIdentity | null {
		return this.#read("identity.json", (text) => identitySchema.parse(JSON.parse(text)));
	}

	signedRoster(): z.infer<typeof signedSchema> | null {
		return this.#read("roster.json", (text) => signedSchema.parse(JSON.parse(text)));
	}

	devices(): StaticDevice[] {
		return this.#read("devices.json", (text) => z.array(childSchema).max(64).parse(JSON.parse(text))) ?? [];
	}

	/** Private counters of the device itself (TAI64N): the device's own file. */
	get deviceStateFile(): string {
		return join(this.folder, "device.state");
	}

	/** What the device tries, until it has gone well: its own file too. */
	get deviceNoteFile(): string {
		return join(this.folder, "device.opening");
	}

	write(name: string, text: string): void {
		const path = join(this.folder, name);
		writeFileSync(`${path}.new`, text, { mode: 0o600, flush: true });
		chmodSync(`${path}.new`, 0o600);
		renameSync(`${path}.new`, path);
	}

	#read<T>(name: string, parse: (text: string) => T): T | null {
		const path = join(this.folder, name);
		if (!existsSync(path)) return null;
		// What cannot be read now may hold what it should, and is left alone.
		const text = readFileSync(path, "utf8");
		try {
			return parse(text);
		} catch (failure) {
			renameSync(path, `${path}.corrupt`);
			this.#logger.warn("a file holds what it should not, and was set aside", {
				file: `${path}.corrupt`,
				fault: (failure as Error).message.slice(0, 200),
			});
			return null;
		}
	}
}
