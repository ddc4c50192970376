import { createECDH, generateKeyPairSync } from "node:crypto";
import {
	type Clock,
	type Closeable,
	defineErrors,
	type Logger,
	messageOf,
	type Random,
	RateLimit,
} from "@warren/kernel";
import { Agent, request } from "undici";
import { z } from "zod";
import type { DataFolder } from "../config/data-folder.ts";
import { sealPush, senderKey, vapidAuthorization } from "./push-message.ts";

export const pushLimits = {
	/** The oldest goes when another comes. */
	maxSubscriptions: 50,
	/** Of one device: a terminal that rings all day is no reason to wake a phone all day. */
	perDevice: { perSecond: 0.2, burst: 5, maxKeys: 100 },
	/** Messages on their way at once; above it they are left out: they are about now. */
	maxInFlight: 32,
	answerMs: 10_000,
	/** How long a push service keeps one for a browser that is away, seconds. */
	keptSeconds: 3_600,
} as const;

const pushError = defineErrors({ bad_subscription: { status: 400 } });

const fileName = "push.json";

export const subscriptionSchema = z.object({
	endpoint: z.url({ protocol: /^https$/ }).max(1_000),
	keys: z.object({ p256dh: z.base64url().length(87), auth: z.base64url().length(22) }),
});
export type Subscription = z.infer<typeof subscriptionSchema>;
const fileSchema = z.object({
	/** A secret: whoever has it may push to these browsers. */
	key: z.object({ x: z.string(), y: z.string(), d: z.string() }),
	subscriptions: z.array(subscriptionSchema.extend({ deviceId: z.string() })),
});
type Kept = z.infer<typeof fileSchema>;

export interface PushMessage {
	readonly title: string;
	readonly body: string;
	/** A later one with the same replaces it. */
	readonly tag: string;
	/** Where a tap leads, on this origin. */
	readonly path: string;
}

export interface PushDeskDeps {
	readonly clock: Clock;
	readonly random: Random;
	readonly logger: Logger;
	readonly data: DataFolder;
	/** Whom a push service may turn to: `https:` or `mailto:` (RFC 8292, section 2.1). */
	readonly contact: string;
	/** PEM beside the system's authorities: for tests. */
	readonly ca?: string;
}

/** Wakes browsers whose pages are closed, by the push services that they chose. What is said is sealed for each. */
export class PushDesk implements Closeable {
	readonly #deps: PushDeskDeps;
	readonly #agent: Agent;
	readonly #rate: RateLimit;
	#kept: Kept | null;
	#inFlight = 0;

	constructor(deps: PushDeskDeps) {
		this.#deps = deps;
		this.#agent = new Agent({
			connect: { timeout: pushLimits.answerMs, ...(deps.ca === undefined ? {} : { ca: deps.ca }) },
			headersTimeout: pushLimits.answerMs,
			bodyTimeout: pushLimits.answerMs,
			maxResponseSize: 64 * 1024,
		});
		this.#rate = new RateLimit(deps.clock, pushLimits.perDevice);
		const text = deps.data.read(fileName);
		this.#kept = text === null ? null : fileSchema.parse(JSON.parse(text));
	}

	/** What a browser subscribes with: base64url of an uncompressed point. Made when it is first asked for. */
	publicKey(): string {
		return senderKey(this.#orNew().key).publicKey;
	}

	has(deviceId: string): boolean {
		return this.#kept?.subscriptions.some((each) => each.deviceId === deviceId) === true;
	}

	/** One a device: the newest. @throws WarrenError `bad_subscription`. */
	subscribe(deviceId: string, subscription: Subscription): void {
		try {
			const probe = createECDH("prime256v1");
			probe.generateKeys();
			probe.computeSecret(Buffer.from(subscription.keys.p256dh, "base64url"));
		} catch (cause) {
			throw pushError("bad_subscription", "keys.p256dh is no public key of P-256.", {
				fix: "Send the browser's own subscription.",
				cause,
			});
		}
		const { key, subscriptions } = this.#orNew();
		const others = subscriptions.filter((each) => each.deviceId !== deviceId);
		this.#keep({ key, subscriptions: [...others, { deviceId, ...subscription }].slice(-pushLimits.maxSubscriptions) });
	}

	/** Safe to call for a device that has none. */
	forget(deviceId: string): void {
		if (this.#kept === null || !this.has(deviceId)) return;
		const left = this.#kept.subscriptions.filter((each) => each.deviceId !== deviceId);
		this.#keep({ ...this.#kept, subscriptions: left });
	}

	/** To every browser that asked for it. Resolves when each was tried. */
	async tell(message: PushMessage): Promise<void> {
		await Promise.all((this.#kept?.subscriptions ?? []).map((each) => this.#send(each, message)));
	}

	close(): Promise<void> {
		return this.#agent.destroy();
	}

	async #send({ deviceId, endpoint, keys }: Kept["subscriptions"][number], message: PushMessage): Promise<void> {
		const { clock, random, logger, contact } = this.#deps;
		if (this.#inFlight >= pushLimits.maxInFlight || this.#rate.take(deviceId) > 0) return;
		this.#inFlight++;
		try {
			const sender = createECDH("prime256v1");
			sender.generateKeys();
			const receiver = { p256dh: Buffer.from(keys.p256dh, "base64url"), auth: Buffer.from(keys.auth, "base64url") };
			const text = Buffer.from(JSON.stringify(message));
			const body = sealPush(text, receiver, sender.getPrivateKey(), random.bytes(16));
			const key = senderKey(this.#orNew().key);
			const answer = await request(endpoint, {
				method: "POST",
				dispatcher: this.#agent,
				headers: {
					authorization: vapidAuthorization(endpoint, { ...key, contact }, clock.now()),
					"content-encoding": "aes128gcm",
					"content-type": "application/octet-stream",
					ttl: String(pushLimits.keptSeconds),
					urgency: "normal",
				},
				body,
			});
			await answer.body.dump();
			// RFC 8030 §7.3: the browser has left.
			if (answer.statusCode === 404 || answer.statusCode === 410) this.forget(deviceId);
			else if (answer.statusCode >= 300)
				logger.warn("a push service refused a message", { service: new URL(endpoint).host, status: answer.statusCode });
		} catch (fault) {
			logger.warn("a push service was not reached", { service: new URL(endpoint).host, fault: messageOf(fault) });
		} finally {
			this.#inFlight--;
		}
	}

	#orNew(): Kept {
		if (this.#kept !== null) return this.#kept;
		const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
		const { x, y, d } = privateKey.export({ format: "jwk" }) as Kept["key"];
		return this.#keep({ key: { x, y, d }, subscriptions: [] });
	}

	#keep(kept: Kept): Kept {
		this.#deps.data.write(`${JSON.stringify(kept)}\n`, fileName);
		this.#kept = kept;
		return kept;
	}
}
