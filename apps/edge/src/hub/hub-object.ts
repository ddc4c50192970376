import { DurableObject } from "cloudflare:workers";
import { type Logger, systemRandom, WarrenError } from "@warren/kernel";
import { errorResponse, faultLine } from "@warren/net";
import { parseEdgeConfig } from "../config/edge-config.ts";
import { consoleLogger } from "../console-logger.ts";
import { ObjectClock } from "../object-clock.ts";
import { type DurableState, type Environment, roomOf } from "../platform.ts";
import { type EdgeHub, openEdgeHub } from "./edge-hub.ts";

/** The Durable Object of a hub: there is one. Its accounts, list of documents and AI live here; each document elsewhere. */
export class HubObject extends DurableObject<DurableState, Environment> {
	readonly #clock: ObjectClock;
	readonly #logger: Logger = consoleLogger;
	#opening: Promise<EdgeHub> | null = null;

	constructor(state: DurableState, environment: Environment) {
		super(state, environment);
		this.#clock = new ObjectClock(state.storage);
	}

	async fetch(request: Request): Promise<Response> {
		try {
			const { listener } = await this.#open();
			return await listener.fetch(request);
		} catch (fault) {
			// What is wrong with its configuration is not a visitor's to read.
			this.#logger.error("the hub did not open", { fault: faultLine(fault) });
			return errorResponse(notOpen());
		}
	}

	/** For rooms: a document's content changed. */
	async touch(room: string): Promise<void> {
		await (await this.#open()).documents.touch(room);
	}

	async alarm(): Promise<void> {
		await this.#open();
		this.#clock.alarm();
	}

	/** A hub that did not open is tried again by the next request: its configuration may have been corrected. */
	#open(): Promise<EdgeHub> {
		this.#opening ??= this.#compose().catch((fault: unknown) => {
			this.#opening = null;
			throw fault;
		});
		return this.#opening;
	}

	async #compose(): Promise<EdgeHub> {
		const config = parseEdgeConfig(this.env);
		return openEdgeHub(
			{
				storage: this.ctx.storage,
				roomOf: (room) => roomOf(this.env, room),
				clock: this.#clock,
				random: systemRandom,
				logger: this.#logger,
			},
			config,
		);
	}
}

function notOpen(): WarrenError {
	return new WarrenError("unavailable", "This hub did not start.", {
		status: 503,
		retryable: true,
		fix: "Its log says what is missing.",
	});
}
