import { hash as hashOnce, randomBytes, timingSafeEqual } from "node:crypto";
import { type Clock, ExpiringMap, equalSecrets, parseRequest, RateLimit } from "@warren/kernel";
import { z } from "zod";
import { isSignedBy } from "../ed25519.ts";
import { gatewayError } from "../errors.ts";
import { gatewayLimits, meshIdPattern, type Proof, type ProofVerdict } from "../protocol/index.ts";
import type { MeshRow, MeshRows } from "./gateway-store.ts";
import { type SecretHash, SecretHasher } from "./secret-hash.ts";

export const registryLimits = {
	maxMeshes: 100_000,
	minSecretLength: 8,
	registersPerSecond: 0.2,
	registerBurst: 20,
	/** Wrong credentials of one address. */
	failuresPerSecond: 0.2,
	failureBurst: 20,
	maxAddresses: 10_000,
	/** Secrets that were right lately need no slow hash again. */
	maxRecent: 50_000,
	recentMs: 24 * 3_600_000,
} as const;

const publicKeyLength = 32;

const registration = z.object({
	meshId: z
		.string()
		.max(gatewayLimits.maxMeshIdLength)
		.regex(
			meshIdPattern,
			"must be letters, digits, dots, dashes, underscores, @ and colons, the first a letter or digit",
		),
	secret: z.string().min(registryLimits.minSecretLength).max(gatewayLimits.maxSecretLength),
	name: z.string().trim().min(1).max(gatewayLimits.maxNameLength),
	/** Ed25519, base64url of the raw 32 bytes. */
	publicKey: z
		.string()
		.refine((text) => Buffer.from(text, "base64url").length === publicKeyLength, "must be 32 bytes in base64url")
		.optional(),
	previousSecret: z.string().max(gatewayLimits.maxSecretLength).optional(),
	invitation: z.string().max(gatewayLimits.maxSecretLength).optional(),
});

/** Which meshes there are, and what proves that somebody is one of them. Secrets are hashed, and never overwritten. */
export class Registry {
	readonly #rows: MeshRows;
	readonly #clock: Clock;
	/** Null = anybody may register. */
	readonly #invitation: string | null;
	readonly #hasher = new SecretHasher();
	readonly #registers: RateLimit;
	readonly #failures: RateLimit;
	/** meshId → keyed hash of the secret that was right. */
	readonly #recent: ExpiringMap<string, Buffer>;
	readonly #recentKey = randomBytes(32).toString("hex");
	/** Hears of a mesh whose credentials changed. */
	onChanged: (meshId: string) => void = () => {};

	constructor(rows: MeshRows, clock: Clock, invitation: string | null) {
		this.#rows = rows;
		this.#clock = clock;
		this.#invitation = invitation;
		const { registersPerSecond, registerBurst, failuresPerSecond, failureBurst, maxAddresses } = registryLimits;
		this.#registers = new RateLimit(clock, {
			perSecond: registersPerSecond,
			burst: registerBurst,
			maxKeys: maxAddresses,
		});
		this.#failures = new RateLimit(clock, {
			perSecond: failuresPerSecond,
			burst: failureBurst,
			maxKeys: maxAddresses,
		});
		this.#recent = new ExpiringMap(clock, registryLimits.maxRecent);
	}

	/**
	 * Registers a mesh; again with the same secret changes its name and key, with `previousSecret` its secret.
	 * @returns what is additive in the answer: `key` says that the mesh may sign in with its key from now on.
	 * @throws WarrenError `bad_request`, `rate_limited`, `invitation_required`, `mesh_taken`, `too_many_meshes`.
	 */
	async register(body: unknown, address: string): Promise<{ readonly key?: true }> {
		const wanted = parseRequest(registration, body);
		const retryAfterMs = this.#registers.take(address);
		if (retryAfterMs > 0 || this.#hasher.isBusy) {
			throw gatewayError("rate_limited", `Too many registrations from your address.`, {
				details: { retryAfterMs: Math.max(retryAfterMs, 1000) },
				fix: `Try again in ${Math.ceil(Math.max(retryAfterMs, 1000) / 1000)} s.`,
			});
		}
		const answer = wanted.publicKey === undefined ? {} : ({ key: true } as const);
		const stands = await this.#rows.find(wanted.meshId);
		if (stands !== null) {
			await this.#again(stands, wanted);
			return answer;
		}
		if (this.#invitation !== null && !equalSecrets(wanted.invitation ?? "", this.#invitation))
			throw gatewayError("invitation_required", "This gateway registers only those with an invitation.");
		if ((await this.#rows.count()) >= registryLimits.maxMeshes)
			throw gatewayError("too_many_meshes", `This gateway knows ${registryLimits.maxMeshes} meshes already.`);
		const secret = JSON.stringify(await this.#hasher.hash(wanted.secret));
		// Between the look-up and here somebody else may have come: the first one stays.
		const row = { mesh_id: wanted.meshId, name: wanted.name, secret, public_key: wanted.publicKey ?? null };
		if (!(await this.#rows.insert(row, this.#clock.now()))) throw taken(wanted.meshId);
		return answer;
	}

	/** A yes or no; never throws for what a client sent. */
	async verify(proof: Proof): Promise<ProofVerdict> {
		const retryAfterMs = this.#failures.waitMs(proof.address);
		if (retryAfterMs > 0) return { ok: false, reason: "limited", retryAfterMs };
		const row = await this.#rows.find(proof.meshId);
		if (proof.by === "secret") {
			// One call: an object for each login would hold native memory until it is collected.
			// Bound to what it was right for: a login that was looked at while the secret was changed proves nothing later.
			const keyed = hashOnce("sha256", `${this.#recentKey}${row?.secret ?? ""}\n${proof.secret}`, "buffer");
			const recent = this.#recent.get(proof.meshId);
			const known = recent !== undefined && timingSafeEqual(recent, keyed);
			if (!known && this.#hasher.isBusy) return { ok: false, reason: "limited", retryAfterMs: 2000 };
			if (known || (await this.#hasher.matches(proof.secret, row === null ? null : hashOf(row)))) {
				this.#recent.set(proof.meshId, keyed, registryLimits.recentMs);
				return { ok: true, meshId: proof.meshId, name: row?.name ?? proof.meshId };
			}
		} else if (
			row?.public_key != null &&
			row.public_key === proof.publicKey &&
			proof.text !== "" &&
			isSignedBy(proof.publicKey, proof.text, proof.signature)
		)
			return { ok: true, meshId: proof.meshId, name: row.name };
		this.#failures.take(proof.address);
		return { ok: false, reason: "invalid" };
	}

	async #again(row: MeshRow, wanted: z.infer<typeof registration>): Promise<void> {
		if (await this.#hasher.matches(wanted.secret, hashOf(row))) {
			return this.#update(row, wanted, row.secret);
		}
		const proves =
			wanted.previousSecret !== undefined && (await this.#hasher.matches(wanted.previousSecret, hashOf(row)));
		if (!proves) throw taken(wanted.meshId);
		await this.#update(row, wanted, JSON.stringify(await this.#hasher.hash(wanted.secret)));
		this.#recent.delete(row.mesh_id);
		this.onChanged(row.mesh_id);
	}

	async #update(row: MeshRow, wanted: z.infer<typeof registration>, secret: string): Promise<void> {
		const changed = { mesh_id: row.mesh_id, name: wanted.name, secret, public_key: wanted.publicKey ?? row.public_key };
		// Only over what was proved: another rotation may have come first.
		if (!(await this.#rows.update(changed, row.secret))) throw taken(row.mesh_id);
	}
}

const hashOf = (row: MeshRow) => JSON.parse(row.secret) as SecretHash;

function taken(meshId: string) {
	return gatewayError("mesh_taken", `"${meshId}" is registered already, with another secret.`);
}
