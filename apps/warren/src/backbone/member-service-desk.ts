import { HubRequests } from "@warren/accounts";
import { type Closeable, WarrenError } from "@warren/kernel";
import { z } from "zod";
import type { DataFolder } from "../config/data-folder.ts";
import type { Membership } from "../hub/membership.ts";
import {
	type HeldService,
	heldServiceSchema,
	type ServiceDesk,
	type ServicePlace,
	type ServiceWish,
	servicePlaceSchema,
} from "./service-desk.ts";

const fileName = "service-place.json";
export const takenSchema = z.object({
	held: heldServiceSchema,
	/** Of the backbone, on the host by which the machine reaches its hub. */
	port: z.int().min(1).max(65535),
	ca: z.string(),
});

/** The desk of the warren's first machine, as a joined one reaches it: by its hub, with its own token. */
export class MemberServiceDesk implements ServiceDesk, Closeable {
	readonly #data: DataFolder;
	readonly #membership: Membership;
	readonly #hub: HubRequests;
	readonly #watchers: (() => void)[] = [];
	#place: ServicePlace | null;

	constructor(data: DataFolder, membership: Membership) {
		this.#data = data;
		this.#membership = membership;
		this.#hub = new HubRequests(membership.hubUrl, membership.ca);
		const text = data.read(fileName);
		this.#place = text === null ? null : (servicePlaceSchema.safeParse(JSON.parse(text)).data ?? null);
	}

	place(): ServicePlace | null {
		return this.#place;
	}

	async take(name: string, wish: ServiceWish, standing: string | null): Promise<HeldService> {
		const { held, port, ca } = await this.#asHubSays(() =>
			this.#hub.ask(takenSchema, "PUT", `/v1/machines/self/services/${name}`, {
				token: this.#membership.nodeToken,
				body: { ...wish, standing },
			}),
		);
		const url = new URL(this.#membership.hubUrl);
		url.port = String(port);
		const place = { url: url.origin, ca };
		if (JSON.stringify(place) !== JSON.stringify(this.#place)) {
			this.#place = place;
			this.#data.write(JSON.stringify(place), fileName);
			for (const watcher of this.#watchers) watcher();
		}
		return held;
	}

	async release(name: string): Promise<void> {
		await this.#asHubSays(() =>
			this.#hub.ask(z.object({}), "POST", `/v1/machines/self/services/${name}/release`, {
				token: this.#membership.nodeToken,
				body: {},
			}),
		);
	}

	watch(watcher: () => void): void {
		this.#watchers.push(watcher);
		watcher();
	}

	close(): Promise<void> {
		return this.#hub.close();
	}

	/** A refusal is the hub's, in its own words: they are about this very name. */
	async #asHubSays<T>(work: () => Promise<T>): Promise<T> {
		try {
			return await work();
		} catch (refused) {
			if (!(refused instanceof WarrenError)) throw refused;
			const { hubStatus, hubError } = refused.details as { hubStatus?: number; hubError?: string };
			if (hubStatus === undefined || hubError === undefined || hubError === "") throw refused;
			const { hubUrl } = this.#membership;
			if (hubError === "no_backbone" || hubStatus === 404)
				throw new WarrenError("no_backbone", `The first machine of the warren at ${hubUrl} runs no backbone.`, {
					status: 409,
					fix: "Start it there with: warren up (this version, without WARREN_EDGE=0, --http or certificate files).",
				});
			throw new WarrenError(hubError, refused.message.replace(/^The hub refused \(\d+\): /, ""), {
				status: hubStatus,
				fix: hubStatus === 409 ? "Choose another name, or stop what serves it." : "",
			});
		}
	}
}
