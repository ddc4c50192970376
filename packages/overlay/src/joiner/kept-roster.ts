import { type Clock, type Logger, messageOf, type Timer } from "@warren/kernel";
import { overlayError } from "../errors.ts";
import type { CoordinatorLink } from "./coordinator-link.ts";
import type { JoinerFiles } from "./joiner-files.ts";
import { joinerLimits } from "./joiner-options.ts";
import type { Registration } from "./registration.ts";
import { verifyRoster } from "./signed-roster.ts";

export interface KeptRosterDeps {
	readonly clock: Clock;
	readonly logger: Logger;
	readonly link: CoordinatorLink;
	readonly files: JoinerFiles;
	readonly registration: Registration;
	/** The joiner stops. */
	readonly signal: AbortSignal;
}

/** The roster as it may be believed after a restart without a coordinator: on disk, signed. */
export class KeptRoster {
	readonly #deps: KeptRosterDeps;
	#timer: Timer | null = null;

	constructor(deps: KeptRosterDeps) {
		this.#deps = deps;
	}

	/** @returns its peers, or null when there is none that proves anything. */
	load(): unknown[] | null {
		const { files, registration, link, logger } = this.#deps;
		const signed = files.signedRoster();
		if (signed === null || registration.identity === null) return null;
		const verified = verifyRoster(signed, link.ca);
		if (verified !== null && verified.peerId === registration.peerId) return verified.peers;
		logger.warn("the roster on disk is not signed by this overlay's coordinator, and is not used");
		return null;
	}

	/** After a while without further changes. */
	saveSoon(): void {
		this.#timer ??= this.#deps.clock.after(joinerLimits.rosterPauseMs, () => {
			this.#timer = null;
			void this.save().catch((failure: unknown) =>
				this.#deps.logger.debug("the roster was not saved", { fault: messageOf(failure) }),
			);
		});
	}

	/** Fetches and keeps it now. @throws WarrenError. */
	async save(): Promise<void> {
		const { link, files, registration, signal } = this.#deps;
		const signed = await link.call<Parameters<typeof verifyRoster>[0]>(
			"GET",
			`/v1/mesh/roster?peer_id=${registration.peerId}`,
			undefined,
			signal,
		);
		if (verifyRoster(signed, link.ca) === null)
			throw overlayError("refused", "The coordinator's roster is not signed as it must be.");
		files.write("roster.json", `${JSON.stringify(signed)}\n`);
	}

	close(): void {
		this.#timer?.cancel();
	}
}
