import { memberCredentials } from "@warren/access";
import { type Audit, describeIdentity, type EventSink } from "@warren/kernel";
import { dataHeaders, type Route } from "@warren/net";
import { z } from "zod";
import type { DataFolder } from "../config/data-folder.ts";

const fileName = "machine-name.json";
const keptSchema = z.object({ name: z.string(), insteadOf: z.string() });
const nameBody = z.object({ name: z.string().trim().min(1).max(63) });

/**
 * What the owner calls this machine. A name given in a page holds until `--name` (WARREN_NAME, the host's name) says
 * something else than it said then: the later word counts.
 */
export class MachineName {
	readonly #data: DataFolder;
	readonly #given: string;
	#chosen: string | null;

	/** @param given by flag, environment or host. */
	constructor(data: DataFolder, given: string) {
		this.#data = data;
		this.#given = given;
		this.#chosen = null;
		const text = data.read(fileName);
		if (text === null) return;
		const kept = keptSchema.parse(JSON.parse(text));
		if (kept.insteadOf === given) this.#chosen = kept.name;
	}

	get current(): string {
		return this.#chosen ?? this.#given;
	}

	/** The settings with this name in them, now and after it has changed. */
	within<C extends { readonly name: string }>(config: C): C {
		return Object.defineProperty({ ...config }, "name", { get: () => this.current, enumerable: true });
	}

	/** People see it at once; the certificate and the overlay take it at the next start. */
	route({ audit, feed }: { readonly audit: Audit; readonly feed: EventSink }): Route {
		return {
			owner: "node",
			method: "PUT",
			path: "/api/name",
			credentials: memberCredentials,
			about: { summary: "What this machine is called", body: nameBody },
			handle: async (context) => {
				const { name } = await context.json(nameBody);
				this.#data.write(`${JSON.stringify({ name, insteadOf: this.#given })}\n`, fileName);
				this.#chosen = name;
				audit.record({
					actor: context.identity === null ? "anonymous" : describeIdentity(context.identity),
					action: "machine.name",
					target: name,
					outcome: "ok",
					address: context.remoteAddress,
				});
				feed.publish({ type: "peers" });
				feed.publish({ type: "health" });
				return Response.json({ name }, { headers: dataHeaders });
			},
		};
	}
}
