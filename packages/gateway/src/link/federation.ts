import { type Closeable, newId, newSecret } from "@warren/kernel";
import type { Statements } from "@warren/store";
import { fetch } from "undici";
import { MeshKey } from "../ed25519.ts";
import { gatewayError } from "../errors.ts";
import { GatewayLink, type LinkDeps, type LinkSettings, messageForged } from "./gateway-link.ts";
import { type AccessLists, KeptSettings } from "./link-settings.ts";
import { MeshTrust } from "./mesh-trust.ts";

/** What a machine registered with. */
export type Registration = Omit<LinkSettings, "login">;

export interface FederationDeps extends Omit<LinkDeps, "key" | "trust" | "kept"> {
	/** Of a database with `gatewayLinkSchema`. */
	readonly statements: Statements;
}

/** Kept 0600; null = never written. */
export interface SecretFile {
	load(): string | null;
	save(text: string): void;
}

export interface FederationOptions {
	/** From the environment: fixed for this process. Null = what was registered here, if anything. */
	readonly fixed: Registration | null;
	/** Of the environment without credentials, and the original's. */
	readonly defaultGatewayUrl: string;
	/** As others see this warren. */
	readonly name: string;
	readonly registration: SecretFile;
	/** This mesh's own Ed25519 key. */
	readonly key: SecretFile;
}

export interface RegisterRequest {
	readonly gatewayUrl?: string | undefined;
	readonly meshId?: string | undefined;
	readonly secret?: string | undefined;
	readonly name?: string | undefined;
	readonly invitation?: string | undefined;
}

const registerTimeoutMs = 15_000;
const maxAnswerBytes = 64 * 1024;

/** This machine's place at a gateway: registered once, connected whenever it runs. */
export class Federation implements Closeable {
	readonly key: MeshKey;
	readonly trust: MeshTrust;
	readonly #kept: KeptSettings;
	readonly #deps: LinkDeps;
	readonly #options: FederationOptions;
	#link: GatewayLink | null = null;

	constructor({ statements, ...deps }: FederationDeps, options: FederationOptions) {
		const { load, save } = options.key;
		this.key = MeshKey.open(load, save);
		this.trust = new MeshTrust(statements, deps.clock);
		this.#kept = new KeptSettings(statements);
		this.#deps = { ...deps, key: this.key, trust: this.trust, kept: this.#kept };
		this.#options = options;
	}

	start(): void {
		const settings = this.#options.fixed ?? this.#saved();
		if (settings !== null) this.#open(settings);
	}

	get link(): GatewayLink | null {
		return this.#link;
	}

	get isFixed(): boolean {
		return this.#options.fixed !== null;
	}

	get gatewayUrl(): string {
		return this.#link?.settings.gatewayUrl ?? this.#options.defaultGatewayUrl;
	}

	get waiting(): number {
		return this.#deps.federation.waiting;
	}

	/**
	 * Registers at the gateway, keeps what it registered with, and connects.
	 * @throws WarrenError `gateway_unreachable`, `gateway_refused` (with the gateway's own words), `set_by_environment`.
	 */
	async register(wanted: RegisterRequest): Promise<void> {
		const { fixed, defaultGatewayUrl, name } = this.#options;
		const before = fixed ?? this.#saved();
		const named = wanted.meshId ?? wanted.secret ?? wanted.gatewayUrl;
		if (fixed !== null && named !== undefined)
			throw gatewayError("set_by_environment", "MESH_ID and MESH_SECRET are set in this machine's environment.");
		const gatewayUrl = wanted.gatewayUrl ?? before?.gatewayUrl ?? defaultGatewayUrl;
		const settings: Registration = {
			gatewayUrl,
			meshId: wanted.meshId ?? before?.meshId ?? `${slugOf(name)}-${newId(this.#deps.random, 6)}`,
			secret: wanted.secret ?? before?.secret ?? `wg_${newSecret(this.#deps.random)}`,
		};
		// A secret that changes at the same place is proved by the one before it.
		const rotates = before?.meshId === settings.meshId && before.secret !== settings.secret;
		const keyed = await this.#post(gatewayUrl, {
			meshId: settings.meshId,
			secret: settings.secret,
			name: wanted.name ?? name,
			publicKey: this.key.publicKey,
			...(rotates ? { previousSecret: before.secret } : {}),
			...(wanted.invitation === undefined ? {} : { invitation: wanted.invitation }),
		});
		if (fixed === null) this.#options.registration.save(JSON.stringify(settings));
		this.#kept.keyedAt(keyed ? { ...settings, publicKey: this.key.publicKey } : null);
		await this.#link?.close();
		this.#open(settings);
	}

	async close(): Promise<void> {
		await this.#link?.close();
	}

	/** Whom this mesh talks with: kept here, told to the gateway, and held here as well. */
	get access(): AccessLists {
		return this.#kept.access;
	}

	set access(lists: AccessLists) {
		this.#kept.access = lists;
	}

	/** Somebody has decided about a key or a mesh. */
	trusted(): void {
		this.#deps.health.clear(messageForged);
		this.#deps.events.publish({ type: "gateway" });
		this.#link?.announce();
	}

	#open(settings: Registration): void {
		const keyed = this.#kept.isKeyedAt({ ...settings, publicKey: this.key.publicKey });
		this.#link = new GatewayLink(this.#deps, { ...settings, login: keyed ? "key" : "secret" });
		this.#link.start();
	}

	#saved(): Registration | null {
		const text = this.#options.registration.load();
		return text === null ? null : (JSON.parse(text) as Registration);
	}

	/** @returns whether the gateway has taken the key; the original knows none. */
	async #post(gatewayUrl: string, body: object): Promise<boolean> {
		const url = registerUrl(gatewayUrl);
		const { ok, status, text } = await ask(url, body).catch((cause: unknown) => {
			throw gatewayError("gateway_unreachable", `The gateway at ${new URL(url).host} does not answer.`, {
				fix: "Check its address, and that it runs.",
				cause,
			});
		});
		if (ok) return answerOf(text).key === true;
		throw gatewayError("gateway_refused", `The gateway at ${new URL(url).host} answered ${status}: ${wordsOf(text)}`);
	}
}

/** @throws Error when it does not answer in time, or says more than a gateway does. */
async function ask(url: string, body: object): Promise<{ ok: boolean; status: number; text: string }> {
	const answer = await fetch(url, {
		method: "POST",
		headers: { "content-type": "application/json" },
		body: JSON.stringify(body),
		redirect: "error",
		signal: AbortSignal.timeout(registerTimeoutMs),
	});
	const parts: Uint8Array[] = [];
	let size = 0;
	for await (const part of answer.body ?? []) {
		size += part.length;
		if (size > maxAnswerBytes) throw new Error(`it answered more than ${maxAnswerBytes} bytes`);
		parts.push(part);
	}
	return { ok: answer.ok, status: answer.status, text: Buffer.concat(parts).toString("utf8") };
}

/** `wss://host/gateway` → `https://host/register`. */
export function registerUrl(gatewayUrl: string): string {
	const url = new URL(gatewayUrl);
	url.protocol = url.protocol === "wss:" ? "https:" : "http:";
	url.pathname = `${url.pathname.replace(/\/gateway\/?$/, "")}/register`;
	url.search = "";
	return url.href;
}

function wordsOf(text: string): string {
	const { message, error } = answerOf(text);
	return String(message ?? error ?? "no gateway answers there").slice(0, 300);
}

function answerOf(text: string): { readonly message?: unknown; readonly error?: unknown; readonly key?: unknown } {
	try {
		const answer: unknown = JSON.parse(text);
		return typeof answer === "object" && answer !== null ? answer : {};
	} catch {
		// Not a gateway, or one behind something that answers for it.
		return {};
	}
}

function slugOf(name: string): string {
	const slug = name
		.toLowerCase()
		.replace(/[^a-z0-9]+/g, "-")
		.replace(/^-+|-+$/g, "");
	return slug === "" ? "warren" : slug.slice(0, 40);
}
