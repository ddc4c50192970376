import type { Clock } from "@warren/kernel";
import { z } from "zod";
import type { DataFolder } from "../config/data-folder.ts";

export const historyLimits = {
	maxVersions: 100,
	/** Of all their texts together; the oldest go first. */
	maxBytes: 4 * 1024 * 1024,
} as const;

const fileName = "policy-history.json";
const versionSchema = z.object({
	etag: z.string(),
	/** When it was saved here, or first seen. Milliseconds since the Unix epoch. */
	at: z.number(),
	/** `describeIdentity`; null = it was changed elsewhere (a command, the file). */
	actor: z.string().nullable(),
	text: z.string(),
});
export type PolicyVersion = z.infer<typeof versionSchema>;

/** The policies that this machine has seen in force, the newest first, whoever put them there. */
export class PolicyHistory {
	readonly #data: DataFolder;
	readonly #clock: Clock;
	#versions: readonly PolicyVersion[];

	constructor(data: DataFolder, clock: Clock) {
		this.#data = data;
		this.#clock = clock;
		const kept = data.read(fileName);
		this.#versions = kept === null ? [] : z.array(versionSchema).parse(JSON.parse(kept));
	}

	list(): readonly PolicyVersion[] {
		return this.#versions;
	}

	/** The policy that is in force now. One that is the newest already is no news. */
	seen(etag: string, text: string, actor: string | null): void {
		if (this.#versions[0]?.etag === etag) return;
		let bytes = 0;
		this.#versions = [{ etag, at: this.#clock.now(), actor, text }, ...this.#versions]
			.slice(0, historyLimits.maxVersions)
			// The newest stays, however long it is.
			.filter((each, index) => {
				bytes += Buffer.byteLength(each.text);
				return index === 0 || bytes <= historyLimits.maxBytes;
			});
		this.#data.write(JSON.stringify(this.#versions), fileName);
	}
}
