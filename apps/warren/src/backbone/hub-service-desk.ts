import { randomUUID } from "node:crypto";
import {
	type Clock,
	type Closeable,
	defineErrors,
	type Logger,
	messageOf,
	type Timer,
	WarrenError,
} from "@warren/kernel";
import { z } from "zod";
import type { DataFolder } from "../config/data-folder.ts";
import { machineServicePrefix } from "../tunnel/tunnel-grant.ts";
import type { BackboneBeside } from "./backbone-beside.ts";
import { askBackbone, type ConsoleAddress } from "./backbone-console.ts";
import type { HeldService, ServiceDesk, ServicePlace, ServiceWish } from "./service-desk.ts";
import type { ServiceUuids } from "./service-uuids.ts";

const deskError = defineErrors({ conflict: { status: 409 }, bad_name: { status: 400 } });

const fileName = "service-names.json";
/** A name without a machine whose token is still there has one to be revoked. */
const fileSchema = z.record(z.string(), z.object({ uuid: z.string(), nodeId: z.string(), tokenId: z.string() }));

/** A token that could not be revoked is tried again after so long. */
const retryMs = 60_000;

export interface HubServiceDeskDeps {
	readonly clock: Clock;
	readonly logger: Logger;
	readonly data: DataFolder;
	readonly backbone: BackboneBeside;
	/** The coordinator's word on them counts: what stands in the file here is what it was last. */
	readonly uuids: Pick<ServiceUuids, "of" | "watch">;
	/** Before a new name is served: its certificate. */
	readonly certify: (names: readonly string[]) => Promise<void>;
}

/** The names of a warren's services, at its first machine: which machine holds each. Their UUIDs are the coordinator's. */
export class HubServiceDesk implements Closeable {
	readonly #deps: HubServiceDeskDeps;
	#names: z.infer<typeof fileSchema>;
	/** One change at a time: each reads the list and writes it. */
	#last: Promise<unknown> = Promise.resolve();
	#retry: Timer | null = null;
	#closed = false;

	constructor(deps: HubServiceDeskDeps) {
		this.#deps = deps;
		const text = deps.data.read(fileName);
		this.#names = text === null ? {} : fileSchema.parse(JSON.parse(text));
		deps.backbone.watch(() => void this.#alone(() => this.#revokeOrRetry()));
		deps.uuids.watch(() => {
			this.#alone(() => this.#agree()).catch((fault: unknown) =>
				deps.logger.warn("the coordinator was not told the UUIDs of services", { fault: messageOf(fault) }),
			);
		});
	}

	/** The desk as one machine sees it. @param adopts whether names of before this list are its own: the first machine's. */
	of(nodeId: string, adopts = false): ServiceDesk {
		const { backbone } = this.#deps;
		return {
			place: () => backbone.address(),
			take: (name, wish, standing) =>
				this.#alone(async () => {
					if (adopts && standing !== null && this.#names[name] === undefined) await this.#adopt(nodeId, name, standing);
					return this.#take(nodeId, name, wish, standing);
				}),
			release: (name) => this.#alone(() => this.#release(nodeId, name)),
			watch: (watcher) => backbone.watch(watcher),
		};
	}

	/** Where machines park agents. @throws WarrenError `no_backbone`, `backbone_down`. */
	place(): ServicePlace {
		return this.#deps.backbone.need();
	}

	/** A machine was removed from the warren: its agents serve no name any more. With the backbone down, as soon as it is back. */
	forget(nodeId: string): Promise<void> {
		return this.#alone(async () => {
			const names = Object.entries(this.#names);
			if (!names.some(([, held]) => held.nodeId === nodeId)) return;
			this.#keep(
				Object.fromEntries(
					names.map(([name, held]) => [name, held.nodeId === nodeId ? { ...held, nodeId: "" } : held]),
				),
			);
			await this.#revokeOrRetry();
		});
	}

	async close(): Promise<void> {
		this.#closed = true;
		this.#retry?.cancel();
		await this.#last;
	}

	async #revokeOrRetry(): Promise<void> {
		this.#retry?.cancel();
		for (const [name, held] of Object.entries(this.#names)) {
			if (this.#closed) return;
			if (held.nodeId !== "" || held.tokenId === "") continue;
			try {
				const path = `/admin/api/tokens/${held.tokenId}`;
				await askBackbone(this.#deps.backbone.need(), "DELETE", path).catch((fault: unknown) => {
					if (!(fault instanceof WarrenError) || fault.code !== "unknown_token") throw fault;
				});
				this.#keep({ ...this.#names, [name]: { ...held, tokenId: "" } });
			} catch (fault) {
				// The disk's as well: nobody waits for this.
				const { clock, logger } = this.#deps;
				logger.warn("a removed machine's service stays for now", { service: name, fault: messageOf(fault) });
				if (!this.#closed) this.#retry = clock.after(retryMs, () => void this.#alone(() => this.#revokeOrRetry()));
				return;
			}
		}
	}

	async #take(nodeId: string, name: string, wish: ServiceWish, standing: string | null): Promise<HeldService> {
		if (name.startsWith(machineServicePrefix))
			throw deskError("bad_name", `"${name}" cannot be a service's name: machines are called so.`, {
				fix: "Choose another name.",
			});
		const backbone = this.#deps.backbone.need();
		const before = this.#names[name];
		const mine = before?.nodeId === nodeId && before.tokenId === standing;
		const made = mine ? null : await this.#claim(backbone, nodeId, name, wish);
		// Before anybody is let in by a rule of before.
		const { url } = await askBackbone<{ url: string }>(backbone, "PATCH", `/admin/api/services/${name}`, {
			settings: { require_identity: !wish.public },
		});
		for (const principal of wish.grant)
			await askBackbone(backbone, "POST", "/admin/api/grants", { principal_id: principal, service: name });
		const uuid = await this.#uuidOf(name);
		const tokenId = made?.id ?? (standing as string);
		this.#keep({ ...this.#names, [name]: { uuid, nodeId, tokenId } });
		if (made !== null && before !== undefined && before.tokenId !== tokenId)
			await this.#revoke(backbone, before.tokenId);
		await this.#deps.certify(Object.keys(this.#names));
		return { url, uuid, token: made?.token ?? null, tokenId };
	}

	async #uuidOf(name: string): Promise<string> {
		const known = this.#names[name]?.uuid ?? null;
		return (await this.#deps.uuids.of(name, known)) ?? known ?? randomUUID();
	}

	/** Names of before the coordinator kept them, or whose coordinator keeps nothing, are brought to it. */
	async #agree(): Promise<void> {
		for (const [name, held] of Object.entries(this.#names)) {
			const uuid = await this.#uuidOf(name);
			if (uuid !== held.uuid) this.#keep({ ...this.#names, [name]: { ...held, uuid } });
		}
	}

	async #adopt(nodeId: string, name: string, tokenId: string): Promise<void> {
		const { tokens } = await askBackbone<{ tokens: { id: string; service: string }[] }>(
			this.#deps.backbone.need(),
			"GET",
			"/admin/api/tokens",
		);
		if (!tokens.some((token) => token.id === tokenId && token.service === name)) return;
		this.#keep({ ...this.#names, [name]: { uuid: await this.#uuidOf(name), nodeId, tokenId } });
	}

	async #release(nodeId: string, name: string): Promise<void> {
		const held = this.#names[name];
		if (held === undefined || held.nodeId !== nodeId) return;
		const backbone = this.#deps.backbone.need();
		await this.#revoke(backbone, held.tokenId);
		// The name keeps its UUID, for whoever takes it next.
		this.#keep({ ...this.#names, [name]: { ...held, nodeId: "", tokenId: "" } });
	}

	async #claim(
		backbone: ConsoleAddress,
		nodeId: string,
		name: string,
		wish: ServiceWish,
	): Promise<{ token: string; id: string }> {
		const { services } = await askBackbone<{ services: { service: string; kind: string; connected: boolean }[] }>(
			backbone,
			"GET",
			"/admin/api/services",
		);
		const standing = services.find(({ service }) => service === name);
		const isOurs = this.#names[name]?.nodeId === nodeId;
		if (standing?.connected === true && !isOurs)
			throw deskError("conflict", `"${name}" is served by another agent.`, {
				fix: "Choose another name, or stop that agent.",
			});
		if (standing !== undefined && standing.kind !== wish.kind)
			throw deskError("conflict", `"${name}" is a service of kind ${standing.kind}, not ${wish.kind}.`, {
				fix: "Choose another name, or remove that service on the Services page.",
			});
		return askBackbone(backbone, "POST", "/admin/api/tokens", {
			service_name: name,
			kind: wish.kind,
			settings: { require_identity: !wish.public },
		});
	}

	/** One that is gone already opens nothing. */
	async #revoke(backbone: ConsoleAddress, tokenId: string): Promise<void> {
		if (tokenId === "") return;
		await askBackbone(backbone, "DELETE", `/admin/api/tokens/${tokenId}`).catch((fault: unknown) =>
			this.#deps.logger.warn("the token of a service was not revoked", { tokenId, fault: messageOf(fault) }),
		);
	}

	#keep(names: z.infer<typeof fileSchema>): void {
		this.#deps.data.write(`${JSON.stringify(names, null, "\t")}\n`, fileName);
		this.#names = names;
	}

	#alone<T>(work: () => Promise<T>): Promise<T> {
		const result = this.#last.then(work);
		this.#last = result.catch(() => {});
		return result;
	}
}
