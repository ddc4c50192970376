import { closeCodes } from "@warren/kernel";
import type { Answers } from "./answers.ts";
import { seconds } from "./answers.ts";
import {
	type AuthMessage,
	challengeText,
	type Feature,
	features as knownFeatures,
	parseClientMessage,
} from "./frames.ts";
import type { MachineCore } from "./machine-core.ts";
import type { Mesh } from "./mesh.ts";
import type { Proof, ProofVerdict } from "./server-effects.ts";
import { noFeatures, type Session, type SessionState } from "./session.ts";

/** What happens before a connection stands for a mesh. Rules G1 to G3. */
export class SignIn {
	readonly #core: MachineCore;
	readonly #answers: Answers;
	/** A fresh challenge. */
	readonly #nonce: () => string;

	constructor(core: MachineCore, answers: Answers, nonce: () => string) {
		this.#core = core;
		this.#answers = answers;
		this.#nonce = nonce;
	}

	hear(session: Session, state: { readonly said: number; readonly nonce?: string }, text: string): void {
		const message = parseClientMessage(text);
		const said = state.said + 1;
		session.state = state.nonce === undefined ? { at: "new", said } : { at: "challenged", said, nonce: state.nonce };
		if (said > this.#core.limits.maxUnauthenticatedMessages)
			return this.#answers.end(session, closeCodes.badRequest, "too many messages before gateway_auth");
		if (message.type !== "gateway_auth")
			return this.#answers.refuse(session, message.type === "fault" ? message.message : "Not authenticated");
		const { auth } = message;
		const proof = this.#proofOf(session, state.nonce ?? null, auth);
		if (proof === "challenge") {
			const nonce = this.#nonce();
			session.state = { at: "challenged", said, nonce };
			return this.#answers.say(session, JSON.stringify({ type: "gateway_challenge", nonce }));
		}
		session.state = { at: "verifying", auth, held: [], heldBytes: 0 };
		this.#core.emit({ kind: "verify", socket: session.socket, proof });
	}

	/** While the credentials are looked at, what is said waits. */
	hold(session: Session, state: Extract<SessionState, { at: "verifying" }>, text: string): void {
		const { held } = state;
		const heldBytes = state.heldBytes + text.length;
		session.state = { ...state, heldBytes };
		held.push(text);
		if (held.length > this.#core.limits.maxHeldMessages || heldBytes > this.#core.limits.maxHeldBytes)
			this.#answers.end(session, closeCodes.badRequest, "too much was sent before the login was answered");
	}

	refused(session: Session, verdict: Extract<ProofVerdict, { ok: false }>, of = "from your address"): void {
		const limited = verdict.reason === "limited";
		const message = limited
			? `Too many logins ${of}: try again in ${seconds(verdict.retryAfterMs)}`
			: "Invalid credentials";
		this.#answers.refuse(session, message);
		this.#answers.end(session, limited ? closeCodes.unavailable : closeCodes.signIn, message);
	}

	#proofOf(session: Session, nonce: string | null, auth: AuthMessage): Proof | "challenge" {
		const { meshId, secret, publicKey, signature } = auth;
		const { address } = session;
		if (publicKey === undefined) return { by: "secret", meshId, secret: secret ?? "", address };
		if (signature === undefined) return "challenge";
		// A nonce that was not given on this connection signs nothing here.
		const text = auth.nonce === nonce && nonce !== null ? challengeText(session.host, meshId, nonce) : "";
		return { by: "key", meshId, publicKey, signature, text, address };
	}
}

/** What a mesh that is in is told first. */
export function welcomeOf(session: Session, mesh: Mesh, limits: MachineCore["limits"]): string {
	const { payloadBytes, messagesPerMinute, ttlMs } = limits;
	const { meshId, name } = mesh;
	return JSON.stringify({
		type: "gateway_auth_ok",
		meshId,
		name,
		...(session.features.size === 0
			? {}
			: { features: [...session.features], limits: { payloadBytes, messagesPerMinute, ttlMs } }),
	});
}

/** One set for all who have the same: looked at with every message, wherever it comes from. */
const grants = new Map<string, ReadonlySet<Feature>>();

export function grant(named: readonly string[]): ReadonlySet<Feature> {
	if (named.length === 0) return noFeatures;
	const ordered = named.includes("receipts");
	const features = knownFeatures.filter((each) => named.includes(each) && (ordered || each !== "ordered"));
	const key = features.join(" ");
	let granted = grants.get(key);
	if (granted === undefined) {
		granted = new Set(features);
		grants.set(key, granted);
	}
	return granted;
}
