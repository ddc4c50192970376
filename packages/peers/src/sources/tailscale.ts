import type { PeerCandidate, PeerSource, PeerSourceError } from "@warren/kernel";
import { type RunResult, run } from "@warren/net";
import { z } from "zod";

const timeoutMs = 1_500;
const maxTailnetPeers = 1000;
const maxNameLength = 80;

const statusSchema = z.object({
	BackendState: z.string().optional(),
	Self: z.object({ DNSName: z.string().optional() }).nullish(),
	Peer: z
		.record(
			z.string(),
			z.object({
				HostName: z.string(),
				DNSName: z.string().optional(),
				TailscaleIPs: z.array(z.string()).nullish(),
				Online: z.boolean().optional(),
			}),
		)
		.nullish(),
});

export interface TailscaleOptions {
	/** The program; `tailscale` unless told. */
	readonly command?: string;
	/** Port on which each tailnet machine is asked. */
	readonly port: number;
	readonly user: string;
	/** Told this machine's own name on the tailnet. */
	readonly onSelf?: (name: string) => void;
}

/** Machines of the tailnet, from `tailscale status --json`. The machine itself is left out. */
export class TailscalePeers implements PeerSource {
	readonly name = "tailscale";
	readonly #options: TailscaleOptions;

	constructor(options: TailscaleOptions) {
		this.#options = options;
	}

	candidates: PeerSource["candidates"] = async (signal) => {
		const result = await run(this.#options.command ?? "tailscale", ["status", "--json"], { timeoutMs, signal });
		if (result.outcome !== "exited" || result.code !== 0) return { candidates: [], errors: [this.#errorOf(result)] };
		let json: unknown;
		try {
			json = JSON.parse(result.stdout);
		} catch (cause) {
			return this.#unreadable((cause as Error).message);
		}
		const status = statusSchema.safeParse(json);
		if (!status.success) return this.#unreadable(status.error.issues[0]?.message ?? "unknown form");
		const state = status.data.BackendState;
		if (state !== undefined && state !== "Running") return { candidates: [], errors: [this.#stopped(state)] };
		const self = trimDot(status.data.Self?.DNSName ?? "");
		if (self !== "") this.#options.onSelf?.(self);
		const candidates: PeerCandidate[] = [];
		for (const peer of Object.values(status.data.Peer ?? {})) {
			const host = trimDot(peer.DNSName ?? "") || peer.TailscaleIPs?.[0];
			// An offline machine would only cost a probe's whole time.
			if (host === undefined || peer.Online === false || candidates.length >= maxTailnetPeers) continue;
			candidates.push({
				name: peer.HostName.slice(0, maxNameLength),
				host: host.toLowerCase(),
				port: this.#options.port,
			});
		}
		return { candidates, errors: [] };
	};

	/** It answers, and has nobody to name: an empty list would pass for "no machines". */
	#stopped(state: string): PeerSourceError {
		return {
			source: this.name,
			kind: "tailscale_unavailable",
			message: `Tailscale is installed and not connected: its state is ${state.slice(0, 40)}.`,
			fix: "Connect it with: sudo tailscale up",
		};
	}

	#unreadable(why: string) {
		return {
			candidates: [],
			errors: [
				{
					source: this.name,
					kind: "parse_error",
					message: `tailscale's status cannot be read: ${why}.`,
					fix: "Update Tailscale, or add machines by hand.",
				},
			],
		};
	}

	#errorOf(result: Exclude<RunResult, { outcome: "exited"; code: 0 }>): PeerSourceError {
		const source = this.name;
		if (result.outcome === "missing") {
			return {
				source,
				kind: "tailscale_not_installed",
				message: "Tailscale is not installed on this machine.",
				fix: "Nothing to do if you do not use it; else install it, or add machines by hand.",
			};
		}
		if (result.outcome === "timeout" || result.outcome === "aborted") {
			return {
				source,
				kind: "timeout",
				message: `tailscale did not answer within ${timeoutMs} ms.`,
				fix: "Check it with: tailscale status",
			};
		}
		const said =
			result.outcome === "exited"
				? `${result.stderr}${result.stdout}`.trim().split("\n")[0]?.slice(0, 200)
				: result.message;
		if (result.outcome === "denied" || /access denied|permission denied|operator/i.test(said ?? "")) {
			return {
				source,
				kind: "operator_denied",
				message: `Tailscale does not let this user ask: ${said}.`,
				fix: `sudo tailscale set --operator=${this.#options.user}`,
			};
		}
		return {
			source,
			kind: "tailscale_unavailable",
			message: `tailscale status failed: ${said}.`,
			fix: "Check it with: tailscale status",
		};
	}
}

/** MagicDNS names end in a dot. */
function trimDot(name: string): string {
	return name.endsWith(".") ? name.slice(0, -1) : name;
}
