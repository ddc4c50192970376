import { type Audit, type Clock, RateLimit } from "@warren/kernel";
import type { RequestContext, Route } from "@warren/net";
import { z } from "zod";
import type { ClientAddressOf } from "./client-address.ts";
import { cleanName, maxDeviceNameLength } from "./device-name.ts";
import { accountsError } from "./errors.ts";
import { answer, recordTo, signedInOf, userOf } from "./hub-route.ts";
import { type PairingState, type Pairings, pairingLimits } from "./pairings.ts";
import type { People } from "./people.ts";
import { deviceKeySchema, thumbprint } from "./tickets/device-key.ts";

const pairBody = z.object({
	code: z.string().max(1000),
	deviceName: z
		.string()
		.max(4 * maxDeviceNameLength)
		.transform((text) => cleanName(text))
		.pipe(z.string().min(1).max(maxDeviceNameLength)),
	publicKey: deviceKeySchema.optional(),
});
/** As `newSecret` makes them. */
const pairingCodeLength = 43;
const pairingCode = /^[A-Za-z0-9_-]{43}$/;
const confirmBody = z.object({ allow: z.boolean().default(true) });

/** `/me/pairings`, `/auth/pair`: docs/api-hub.md. */
export function pairingRoutes(deps: {
	readonly pairings: Pairings;
	readonly people: People;
	readonly clock: Clock;
	readonly audit: Audit;
	readonly hubUrl: string;
	/** SHA-256 of the CA, else of the certificate, that a new device shall find there; null with plain HTTP. */
	readonly fingerprint: () => string | null;
	readonly addressOf: ClientAddressOf;
}): Route[] {
	const { pairings, people } = deps;
	const owner = "hub";
	const record = recordTo(deps.audit);
	const tries = new RateLimit(deps.clock, pairingLimits.perAddress);
	return [
		{
			owner,
			method: "POST",
			path: "/me/pairings",
			about: { summary: "A code that signs a new device in" },
			credentials: ["session"],
			handle: async (context) => {
				const user = signedInOf(context, "lets no other one in");
				const { id, code, expiresAt } = await pairings.make(user.userId);
				record(context, "pairing.create", id);
				const fingerprint = deps.fingerprint();
				const url = `${deps.hubUrl}/#${pairingFragment(code, fingerprint)}`;
				return answer({ id, code, url, fingerprint, expiresAt }, 201);
			},
		},
		{
			owner,
			method: "GET",
			path: "/me/pairings/:pairing",
			about: { summary: "How a pairing stands; ?wait=STATE waits for another" },
			credentials: ["session"],
			handle: async (context) => {
				const id = context.params["pairing"] ?? "";
				const userId = userOf(context).userId;
				const now = await pairings.get(userId, id);
				// `?wait=STATE`: answers when it is no longer that one, so that the issuer's screen need not poll.
				if (context.query.get("wait") !== now.state) return answer(now);
				await pairings.changed(id, now.state, context.signal);
				return answer(await pairings.get(userId, id));
			},
		},
		{
			owner,
			method: "POST",
			path: "/me/pairings/:pairing/confirm",
			about: { summary: "Let the new device in, or not", body: confirmBody },
			credentials: ["session"],
			handle: async (context) => {
				const id = context.params["pairing"] ?? "";
				const user = signedInOf(context, "lets no other one in");
				const { allow } = await context.json(confirmBody);
				const pairing = await pairings.decide(user.userId, id, allow);
				record(context, allow ? "pairing.confirm" : "pairing.deny", id, { details: { device: pairing.deviceName } });
				return answer(pairing);
			},
		},
		{
			owner,
			method: "POST",
			path: "/auth/pair",
			about: { summary: "Come with a code as the new device, and wait", body: pairBody },
			credentials: ["none"],
			handle: async (context) => {
				const body = await context.json(pairBody);
				if (!pairingCode.test(body.code))
					throw accountsError(
						"bad_code",
						`This is no pairing code: it has ${body.code.length} characters, and one has ${pairingCodeLength} letters, digits, "-" and "_".`,
						{ fix: "Scan the code on the other screen once more, or copy its whole link." },
					);
				return pair(context, body);
			},
		},
	];

	/** Long-polls: 202 `{state: "claimed"}` means ask again with the same code. */
	async function pair(context: RequestContext, body: z.infer<typeof pairBody>): Promise<Response> {
		const address = await deps.addressOf(context);
		const waitMs = tries.waitMs(address);
		if (waitMs > 0)
			throw accountsError("rate_limited", `Too many pairing codes from ${address}.`, {
				details: { retryAfterMs: waitMs },
			});
		const key = body.publicKey === undefined ? null : thumbprint(body.publicKey);
		const claimed = await pairings.claim(body.code, { name: body.deviceName, key, address }).catch((refused) => {
			tries.take(address);
			throw refused;
		});
		let state: PairingState | null = claimed.state;
		if (state === "claimed") {
			await pairings.changed(claimed.id, state, context.signal);
			state = await pairings.state(claimed.id);
		}
		switch (state) {
			case "waiting":
			case "claimed":
				return answer({ state: "claimed" }, 202);
			case "denied":
				throw accountsError("pairing_denied", "The other device refused this pairing.");
			case null:
				throw accountsError("bad_code", "This pairing code has ended.");
			case "confirmed":
				break;
		}
		if (!(await pairings.spend(claimed.id))) throw accountsError("bad_code", "This pairing code was used.");
		const session = await people.newSession(claimed.userId, {
			name: body.deviceName,
			key,
			address,
			userAgent: String(context.headers["user-agent"] ?? ""),
		});
		record(context, "pairing.complete", session.deviceId);
		return answer({ ...session, user: await people.person(claimed.userId) }, 201);
	}
}

/** What a scanned link carries: the code, and whose certificate a program that scans it must find before it sends that. */
function pairingFragment(code: string, fingerprint: string | null): string {
	return new URLSearchParams({
		pair: code,
		...(fingerprint === null ? {} : { fingerprint: fingerprint.replaceAll(":", "") }),
	}).toString();
}
