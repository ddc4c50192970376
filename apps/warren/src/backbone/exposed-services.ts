import { type Clock, type Closeable, defineErrors, WarrenError } from "@warren/kernel";
import { appPort, appUla, overlayDomain } from "@warren/overlay";
import { z } from "zod";
import type { RoleDeps } from "../cli/run-role.ts";
import type { AgentServiceConfig } from "../config/backbone-config.ts";
import type { DataFolder } from "../config/data-folder.ts";
import { type AgentRole, openAgents } from "./agent-role.ts";
import { listensLocally } from "./local-port.ts";
import {
	type ExposedKind,
	type ServiceDesk,
	type ServicePlace,
	type ServiceWish,
	serviceKinds,
} from "./service-desk.ts";

const exposeError = defineErrors({ unknown_service: { status: 404 }, full: { status: 409 } });

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
		kind: z.enum(serviceKinds).default("http"),
		url: z.string(),
		/** Null in files of before it was made. */
		uuid: z.string().nullable().default(null),
		tokenId: z.string(),
		/** A secret. */
		token: z.string(),
	}),
);
type Exposed = z.infer<typeof fileSchema>[number];

/** A service of this machine under its name at the backbone. */
export interface ExposedService {
	readonly name: string;
	readonly kind: ExposedKind;
	/** On this machine, loopback. */
	readonly port: number;
	/** Whether anonymous requests reach it. */
	readonly public: boolean;
	readonly url: string;
	/** Its address on the overlay, the same on whichever machine it runs; null until it has one, and for UDP, which is not served there. */
	readonly overlay: {
		readonly uuid: string;
		readonly address: string;
		readonly port: number;
		/** The same address by name, on machines of the overlay; null where a machine is called so. */
		readonly host: string | null;
	} | null;
	readonly state: "online" | "connecting" | "stopped";
	/** Why it is not online; null when it is, or nothing is known yet. */
	readonly reason: string | null;
	/** Whether its local port takes connections, or datagrams. */
	readonly target: "up" | "down";
}

export interface ExposedServicesDeps extends RoleDeps {
	readonly clock: Clock;
	readonly data: DataFolder;
	readonly desk: ServiceDesk;
	/** What the overlay serves at the services' own addresses. */
	readonly onApps: (apps: readonly { readonly uuid: string; readonly port: number; readonly name: string }[]) => void;
	/** Whether a machine of the overlay goes by this name: that one answers to it there. */
	readonly isMachine: (label: string) => boolean;
}

/**
 * What this machine gives a name at its warren's backbone: kept in a file with the tokens, served by agents of this
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
		this.#tellApps();
	}

	get isEmpty(): boolean {
		return this.#list.length === 0;
	}

	/** With each local port tried now. */
	async list(): Promise<ExposedService[]> {
		return Promise.all(
			this.#list.map(async (each) => ({
				...this.#shown(each),
				target: (await listensLocally(each.kind, each.port)) ? "up" : "down",
			})),
		);
	}

	/** The backbone came, went, or changed its port. */
	backboneChanged(): Promise<void> {
		return this.#alone(() => this.#serve());
	}

	/** Safe to repeat: a standing name keeps its token, and gets the new port. */
	expose(name: string, port: number, wish: ServiceWish): Promise<ExposedService> {
		return this.#alone(async () => {
			const before = this.#list.find((each) => each.name === name);
			const isGood = before?.kind === wish.kind && this.#stateOf(name)?.state !== "stopped";
			if (before === undefined && this.#list.length >= exposeLimits.maxServices)
				throw exposeError("full", `This machine exposes ${exposeLimits.maxServices} services already.`, {
					fix: "Hide one with: warren expose NAME --off",
				});
			const standing = before !== undefined && isGood ? before.tokenId : null;
			const held = await this.#deps.desk.take(name, wish, standing);
			const token = held.token ?? (before as Exposed).token;
			const { url, uuid, tokenId } = held;
			this.#keep([
				...this.#list.filter((each) => each.name !== name),
				{ name, port, kind: wish.kind, public: wish.public, url, uuid, tokenId, token },
			]);
			await this.#serve();
			await this.#online(name);
			return (await this.list()).find((each) => each.name === name) as ExposedService;
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
			await this.#deps.desk.release(name).catch((fault: unknown) => {
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

	#stateOf(name: string) {
		return this.#agents.status().find(({ service }) => service === name)?.state;
	}

	#shown({ name, kind, port, public: isPublic, url, uuid }: Exposed): Omit<ExposedService, "target"> {
		const address = uuid === null ? null : appUla(uuid);
		const host = this.#deps.isMachine(name) ? null : `${name}.${overlayDomain}`;
		const overlay = uuid === null || address === null || kind === "udp" ? null : { uuid, address, port: appPort, host };
		const shown = { name, kind, port, public: isPublic, url, overlay };
		const state = this.#stateOf(name);
		if (state === undefined) return { ...shown, state: "connecting", reason: "The backbone does not run." };
		if (state.state === "online") return { ...shown, state: "online", reason: null };
		return { ...shown, state: state.state, reason: state.state === "stopped" ? state.reason : state.lastFailure };
	}

	#keep(list: readonly Exposed[]): void {
		this.#deps.data.write(`${JSON.stringify(list, null, "\t")}\n`, fileName);
		this.#list = list;
		this.#tellApps();
	}

	#tellApps(): void {
		this.#deps.onApps(
			this.#list.flatMap(({ kind, uuid, port, name }) =>
				uuid === null || kind === "udp" ? [] : [{ uuid, port, name }],
			),
		);
	}

	async #serve(): Promise<void> {
		const place = this.#deps.desk.place();
		await this.#agents.reload(place === null ? [] : this.#list.map((each) => agentOf(each, place)));
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
				const state = this.#stateOf(name);
				if (state !== undefined && state.state !== "connecting") done();
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

function agentOf(exposed: Exposed, { url, ca }: ServicePlace): AgentServiceConfig {
	return {
		backbone: new URL(url),
		ca,
		service: exposed.name,
		target: { host: "127.0.0.1", port: exposed.port },
		token: exposed.token,
		transport: "shared",
		// A process that was killed may still be counted: this one takes over.
		name: "expose",
		proxyProtocol: false,
	};
}
