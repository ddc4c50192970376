import { type Clock, type Closeable, defineErrors, WarrenError } from "@warren/kernel";
import { z } from "zod";
import type { RoleDeps } from "../cli/run-role.ts";
import type { AgentServiceConfig } from "../config/backbone-config.ts";
import type { DataFolder } from "../config/data-folder.ts";
import { type AgentRole, openAgents } from "./agent-role.ts";
import { askBackbone, type ConsoleAddress } from "./backbone-console.ts";

const exposeError = defineErrors({
	unknown_service: { status: 404 },
	conflict: { status: 409 },
	full: { status: 409 },
});

export const exposeLimits = {
	maxServices: 100,
	/** How long a call waits for its agent, ms; it goes on trying after that. */
	onlineMs: 5_000,
} as const;

const fileName = "exposed.json";
const fileSchema = z.array(
	z.object({
		name: z.string(),
		port: z.int().min(1).max(65535),
		public: z.boolean(),
		url: z.string(),
		tokenId: z.string(),
		/** A secret. */
		token: z.string(),
	}),
);
type Exposed = z.infer<typeof fileSchema>[number];

/** A service of this machine under its name at the backbone. */
export interface ExposedService {
	readonly name: string;
	/** On this machine, loopback. */
	readonly port: number;
	/** Whether anonymous requests reach it. */
	readonly public: boolean;
	readonly url: string;
	readonly state: "online" | "connecting" | "stopped";
	/** Why it is not online; null when it is, or nothing is known yet. */
	readonly reason: string | null;
}

export interface ExposedServicesDeps extends RoleDeps {
	readonly clock: Clock;
	readonly data: DataFolder;
	/** The backbone now; null while none runs. */
	readonly backbone: () => ConsoleAddress | null;
	/** @throws WarrenError when this machine can have none, or it is down. */
	readonly needBackbone: () => ConsoleAddress;
	/** Before a new name is served: its certificate. */
	readonly certify: (names: readonly string[]) => Promise<void>;
}

/**
 * What this machine gives a name at the backbone beside it: kept in a file with the tokens, served by agents of this
 * process, and there again after a restart.
 */
export class ExposedServices implements Closeable {
	readonly #deps: ExposedServicesDeps;
	readonly #agents: AgentRole;
	#list: readonly Exposed[];
	#watchers: (() => void)[] = [];
	/** One change at a time: each reads the list and writes it. */
	#last: Promise<unknown> = Promise.resolve();

	constructor(deps: ExposedServicesDeps) {
		this.#deps = deps;
		const text = deps.data.read(fileName);
		this.#list = text === null ? [] : fileSchema.parse(JSON.parse(text));
		this.#agents = openAgents(deps, [], () => {
			for (const watcher of this.#watchers) watcher();
		});
	}

	list(): ExposedService[] {
		const states = new Map(this.#agents.status().map(({ service, state }) => [service, state]));
		return this.#list.map(({ name, port, public: isPublic, url }) => {
			const state = states.get(name);
			const shown = { name, port, public: isPublic, url };
			if (state === undefined) return { ...shown, state: "connecting", reason: "The backbone does not run." };
			if (state.state === "online") return { ...shown, state: "online", reason: null };
			return {
				...shown,
				state: state.state,
				reason: state.state === "stopped" ? state.reason : state.lastFailure,
			};
		});
	}

	/** The backbone came, went, or changed its port. */
	backboneChanged(): Promise<void> {
		return this.#alone(() => this.#serve());
	}

	/** Safe to repeat: a standing name keeps its token, and gets the new port. */
	expose(name: string, port: number, isPublic: boolean): Promise<ExposedService> {
		return this.#alone(async () => {
			const backbone = this.#deps.needBackbone();
			const standing = this.#list.find((each) => each.name === name);
			const refused = this.list().find((each) => each.name === name)?.state === "stopped";
			const kept = standing !== undefined && !refused ? standing : await this.#claim(backbone, name);
			// Before anybody is let in by a rule of before.
			const { url } = await askBackbone<{ url: string }>(backbone, "PATCH", `/admin/api/services/${name}`, {
				settings: { require_identity: !isPublic },
			});
			await this.#deps.certify([...this.#list.map((each) => each.name), name]);
			const { token, tokenId } = kept;
			this.#keep([
				...this.#list.filter((each) => each.name !== name),
				{ name, port, public: isPublic, url, tokenId, token },
			]);
			await this.#serve();
			await this.#online(name);
			return this.list().find((each) => each.name === name) as ExposedService;
		});
	}

	/** The service and its grants stay at the backbone, for when it comes back; its token is gone. */
	hide(name: string): Promise<void> {
		return this.#alone(async () => {
			const standing = this.#list.find((each) => each.name === name);
			if (standing === undefined)
				throw exposeError("unknown_service", `This machine does not expose "${name.slice(0, 63)}".`, {
					fix: "See what it does with: warren expose",
				});
			this.#keep(this.#list.filter((each) => each !== standing));
			await this.#serve();
			const backbone = this.#deps.backbone();
			if (backbone === null) return;
			await askBackbone(backbone, "DELETE", `/admin/api/tokens/${standing.tokenId}`).catch((fault: unknown) => {
				// Nobody holds it any more: that it stands there opens nothing.
				if (!(fault instanceof WarrenError)) throw fault;
				this.#deps.logger.warn("the token of a hidden service was not revoked", {
					service: name,
					fault: fault.message,
				});
			});
		});
	}

	async close(): Promise<void> {
		await this.#last;
		await this.#agents.close();
	}

	async #claim(backbone: ConsoleAddress, name: string): Promise<{ token: string; tokenId: string }> {
		if (this.#list.length >= exposeLimits.maxServices)
			throw exposeError("full", `This machine exposes ${exposeLimits.maxServices} services already.`, {
				fix: "Hide one with: warren expose NAME --off",
			});
		const { services } = await askBackbone<{ services: { service: string; kind: string; connected: boolean }[] }>(
			backbone,
			"GET",
			"/admin/api/services",
		);
		if (services.some(({ service, connected }) => service === name && connected))
			throw exposeError("conflict", `"${name}" is served by another agent.`, {
				fix: "Choose another name, or stop that agent.",
			});
		const made = await askBackbone<{ token: string; id: string }>(backbone, "POST", "/admin/api/tokens", {
			service_name: name,
			kind: "http",
		});
		return { token: made.token, tokenId: made.id };
	}

	#keep(list: readonly Exposed[]): void {
		this.#deps.data.write(`${JSON.stringify(list, null, "\t")}\n`, fileName);
		this.#list = list;
	}

	async #serve(): Promise<void> {
		const backbone = this.#deps.backbone();
		await this.#agents.reload(backbone === null ? [] : this.#list.map((each) => agentOf(each, backbone)));
	}

	/** Resolves when its agent is online or refused, or has been tried for long enough. */
	#online(name: string): Promise<void> {
		return new Promise((resolve) => {
			const done = () => {
				timer.cancel();
				this.#watchers = this.#watchers.filter((each) => each !== look);
				resolve();
			};
			const look = () => {
				if (this.list().find((each) => each.name === name)?.state !== "connecting") done();
			};
			const timer = this.#deps.clock.after(exposeLimits.onlineMs, done);
			this.#watchers.push(look);
			look();
		});
	}

	#alone<T>(work: () => Promise<T>): Promise<T> {
		const result = this.#last.then(work);
		this.#last = result.catch(() => {});
		return result;
	}
}

function agentOf(exposed: Exposed, { url, ca }: ConsoleAddress): AgentServiceConfig {
	return {
		backbone: new URL(url),
		ca,
		service: exposed.name,
		target: { host: "127.0.0.1", port: exposed.port },
		token: exposed.token,
		transport: "parked",
		// A process that was killed may still be counted: this one takes over.
		name: "expose",
		proxyProtocol: false,
	};
}
