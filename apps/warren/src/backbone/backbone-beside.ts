import { existsSync, readFileSync } from "node:fs";
import { defineErrors } from "@warren/kernel";
import type { NodeConfig } from "../config/node-config.ts";
import { localHost } from "../config/server-config.ts";
import { edgeFiles } from "../edge/edge-config.ts";
import { backboneConsoleToken } from "../edge/edge-part.ts";
import type { NodeBase } from "../node/role-part.ts";
import type { Processes } from "../supervisor/supervised-role.ts";
import type { ConsoleAddress } from "./backbone-console.ts";

const backboneError = defineErrors({
	no_backbone: { status: 409 },
	backbone_down: { status: 503, retryable: true },
});

/** The backbone in the edge process of the first machine, as its private process sees and administers it. */
export class BackboneBeside {
	readonly #base: NodeBase;
	readonly #config: NodeConfig;
	readonly #processes: Processes | null;

	/** @param processes null where a node runs alone. */
	constructor(base: NodeBase, config: NodeConfig, processes: Processes | null) {
		this.#base = base;
		this.#config = config;
		this.#processes = processes;
	}

	/** Null while none runs. */
	address(): ConsoleAddress | null {
		const { authority } = this.#base;
		const { state, port } = this.#row() ?? {};
		if (authority === null || state !== "running" || port === undefined) return null;
		return {
			url: `https://${localHost(this.#config.host)}:${port}`,
			ca: this.ca(),
			token: backboneConsoleToken(this.#base),
		};
	}

	/** PEM of what its certificate may chain to. */
	ca(): string {
		const { backboneCa } = edgeFiles(this.#base.data.path);
		const own = existsSync(backboneCa) ? readFileSync(backboneCa, "utf8") : "";
		return (this.#base.authority?.certPem ?? "") + own;
	}

	/** @throws WarrenError `no_backbone`, `backbone_down`. */
	need(): ConsoleAddress {
		const found = this.address();
		if (found !== null) return found;
		if (!(this.#processes?.rows().some(({ name }) => name === "edge") ?? false))
			throw backboneError("no_backbone", "No backbone runs on this machine.", {
				fix: "Start it with: warren up (without WARREN_EDGE=0, --http or certificate files).",
			});
		throw backboneError("backbone_down", "The backbone of this machine is down.", {
			fix: "See why with: warren status",
		});
	}

	/** Called when it came, went, or changed its port; once now. */
	watch(watcher: () => void): void {
		let before: string | null = null;
		const look = () => {
			const url = this.address()?.url ?? "";
			if (url === before) return;
			before = url;
			watcher();
		};
		this.#processes?.watch(look);
		look();
	}

	#row() {
		return this.#processes
			?.rows()
			.flatMap(({ roles }) => roles)
			.find(({ name }) => name === "backbone");
	}
}
