import { type Closeable, newId, newSecret } from "@warren/kernel";
import { fetch } from "undici";
import { gatewayError } from "../errors.ts";
import { GatewayLink, type LinkDeps, type LinkSettings } from "./gateway-link.ts";

export interface FederationOptions {
	/** From the environment: fixed for this process. Null = what was registered here, if anything. */
	readonly fixed: LinkSettings | null;
	/** Of the environment without credentials, and the original's. */
	readonly defaultGatewayUrl: string;
	/** As others see this warren. */
	readonly name: string;
	/** Kept 0600; null = never registered. */
	load(): string | null;
	save(text: string): void;
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
	readonly #deps: LinkDeps;
	readonly #options: FederationOptions;
	#link: GatewayLink | null = null;

	constructor(deps: LinkDeps, options: FederationOptions) {
		this.#deps = deps;
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
		const settings: LinkSettings = {
			gatewayUrl,
			meshId: wanted.meshId ?? before?.meshId ?? `${slugOf(name)}-${newId(this.#deps.random, 6)}`,
			secret: wanted.secret ?? before?.secret ?? `wg_${newSecret(this.#deps.random)}`,
		};
		// A secret that changes at the same place is proved by the one before it.
		const rotates = before?.meshId === settings.meshId && before.secret !== settings.secret;
		await this.#post(gatewayUrl, {
			meshId: settings.meshId,
			secret: settings.secret,
			name: wanted.name ?? name,
			...(rotates ? { previousSecret: before.secret } : {}),
			...(wanted.invitation === undefined ? {} : { invitation: wanted.invitation }),
		});
		if (fixed === null) this.#options.save(JSON.stringify(settings));
		await this.#link?.close();
		this.#open(settings);
	}

	async close(): Promise<void> {
		await this.#link?.close();
	}

	#open(settings: LinkSettings): void {
		this.#link = new GatewayLink(this.#deps, settings);
		this.#link.start();
	}

	#saved(): LinkSettings | null {
		const text = this.#options.load();
		return text === null ? null : (JSON.parse(text) as LinkSettings);
	}

	async #post(gatewayUrl: string, body: object): Promise<void> {
		const url = registerUrl(gatewayUrl);
		const answer = await fetch(url, {
			method: "POST",
			headers: { "content-type": "application/json" },
			body: JSON.stringify(body),
			redirect: "error",
			signal: AbortSignal.timeout(registerTimeoutMs),
		}).catch((cause: unknown) => {
			throw gatewayError("gateway_unreachable", `The gateway at ${new URL(url).host} does not answer.`, {
				fix: "Check its address, and that it runs.",
				cause,
			});
		});
		const text = (await answer.text()).slice(0, maxAnswerBytes);
		if (answer.ok) return;
		throw gatewayError(
			"gateway_refused",
			`The gateway at ${new URL(url).host} answered ${answer.status}: ${wordsOf(text)}`,
		);
	}
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
	try {
		const { message, error } = JSON.parse(text) as { message?: unknown; error?: unknown };
		return String(message ?? error ?? "no reason").slice(0, 300);
	} catch {
		// Not a gateway, or one behind something that answers for it.
		return "no gateway answers there";
	}
}

function slugOf(name: string): string {
	const slug = name
		.toLowerCase()
		.replace(/[^a-z0-9]+/g, "-")
		.replace(/^-+|-+$/g, "");
	return slug === "" ? "warren" : slug.slice(0, 40);
}
