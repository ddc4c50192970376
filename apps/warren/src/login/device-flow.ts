import { Backoff, type Clock, delay, type Random } from "@warren/kernel";
import { request } from "undici";
import { z } from "zod";
import { hubAgent, loginError, type TrustedHub } from "./hub-trust.ts";

const clientId = "warren-cli";
const grantType = "urn:ietf:params:oauth:grant-type:device_code";
/** RFC 8628 §3.5: what `slow_down` adds for good. */
const slowDownMs = 5_000;
/** While the hub does not answer. */
const awayBackoff = { firstMs: 1_000, maxMs: 30_000 } as const;

const codeSchema = z.object({
	device_code: z.string().min(1),
	user_code: z.string().min(1),
	verification_uri: z.string(),
	verification_uri_complete: z.string(),
	expires_in: z.number(),
	interval: z.number().default(5),
});
const tokenSchema = z.object({ access_token: z.string().min(1) });
const refusalSchema = z.object({ error: z.string(), message: z.string().optional() });

/** What a person needs to approve a sign-in on another screen. */
export interface DeviceCode {
	readonly userCode: string;
	readonly verificationUri: string;
	/** With the code in its fragment. */
	readonly verificationUriComplete: string;
	/** Milliseconds since the Unix epoch. */
	readonly expiresAt: number;
}

type Answer = { readonly status: number; readonly retryAfterMs: number; readonly body: unknown } | null;

/**
 * Signs in by a code that a person approves elsewhere (RFC 8628).
 * @param show called once, with the code. @returns the session's token, a secret.
 * @throws WarrenError `login_denied`, `login_expired`, `hub_refused`, `hub_unreachable`.
 */
export async function signInByCode(
	hub: TrustedHub,
	deviceName: string,
	deps: { readonly clock: Clock; readonly random: Random },
	show: (code: DeviceCode) => void,
): Promise<string> {
	const agent = hubAgent(hub.ca);
	const post = async (path: string, form: Record<string, string>): Promise<Answer> => {
		try {
			const answer = await request(`${hub.hubUrl}${path}`, {
				method: "POST",
				dispatcher: agent,
				headers: {
					"content-type": "application/x-www-form-urlencoded",
					"x-warren-device": encodeURIComponent(deviceName),
				},
				body: new URLSearchParams(form).toString(),
			});
			const text = await answer.body.text();
			const retryAfterMs = Number(answer.headers["retry-after"] ?? 0) * 1000;
			return { status: answer.statusCode, retryAfterMs, body: text === "" ? null : JSON.parse(text) };
		} catch {
			// Away, or something else's answer: asked again while the code lives.
			return null;
		}
	};
	try {
		const made = await post("/auth/device/code", { client_id: clientId });
		if (made === null) throw loginError("hub_unreachable", `The hub at ${hub.hubUrl} does not answer.`);
		const code = codeSchema.safeParse(made.body).data;
		if (made.status !== 200 || code === undefined) throw refused(hub, made);
		const expiresAt = deps.clock.now() + code.expires_in * 1000;
		show({
			userCode: code.user_code,
			verificationUri: code.verification_uri,
			verificationUriComplete: code.verification_uri_complete,
			expiresAt,
		});
		const backoff = new Backoff(awayBackoff, deps.random);
		let intervalMs = code.interval * 1000;
		let waitMs = intervalMs;
		while (deps.clock.now() + waitMs < expiresAt) {
			await delay(deps.clock, waitMs);
			const form = { grant_type: grantType, device_code: code.device_code, client_id: clientId };
			const answer = await post("/auth/device/token", form);
			if (answer === null || answer.status >= 500) {
				waitMs = Math.max(intervalMs, backoff.nextMs());
				continue;
			}
			backoff.reset();
			const token = tokenSchema.safeParse(answer.body).data;
			if (answer.status === 200 && token !== undefined) return token.access_token;
			const error = refusalSchema.safeParse(answer.body).data?.error;
			if (error === "access_denied")
				throw loginError("login_denied", "The sign-in was refused on the other screen.", { fix: "" });
			if (error === "expired_token" || error === "invalid_grant") break;
			if (error === "slow_down") intervalMs += slowDownMs;
			else if (error !== "authorization_pending" && answer.status !== 429) throw refused(hub, answer);
			waitMs = Math.max(intervalMs, answer.retryAfterMs);
		}
		throw loginError("login_expired", "Nobody approved this sign-in in time.");
	} finally {
		await agent.destroy();
	}
}

function refused(hub: TrustedHub, answer: NonNullable<Answer>) {
	const said = refusalSchema.safeParse(answer.body).data;
	const reason = said?.message ?? said?.error ?? "no reason given";
	return loginError("hub_refused", `The hub at ${hub.hubUrl} refused (${answer.status}): ${reason}.`);
}
