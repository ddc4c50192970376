import { accessSync, constants, existsSync } from "node:fs";
import { platform } from "node:os";
import { dirname } from "node:path";
import type { Condition } from "@warren/kernel";
import { run } from "@warren/net";
import type { Command } from "commander";
import { freeBytes, freeSpaceLimits } from "../config/free-space.ts";
import { dataFolderOf } from "./data-folder-of.ts";
import { LocalNode } from "./local-node.ts";

interface Finding {
	readonly check: string;
	readonly ok: boolean;
	/** What was seen. */
	readonly found: string;
	/** What to do; empty when all is well. */
	readonly fix: string;
}

/** `warren doctor`: looks at this machine and says, for each problem, its fix. Exit status 1 when there is one. */
export function addDoctorCommand(program: Command): void {
	program
		.command("doctor")
		.description("Look for problems on this machine, each with its fix")
		.option("--data <dir>", "the node's data folder [WARREN_DATA]")
		.option("--json", "the findings as JSON")
		.action(async (flags: { data?: string; json?: boolean }) => {
			const data = dataFolderOf(flags);
			const findings = [...(await programs()), ...(await folder(data)), ...(await node(data))];
			if (flags.json === true) process.stdout.write(`${JSON.stringify({ findings })}\n`);
			else
				for (const { check, ok, found, fix } of findings)
					process.stdout.write(
						`${ok ? "ok     " : "problem"}  ${check}: ${found}\n${fix === "" ? "" : `           → ${fix}\n`}`,
					);
			if (findings.some((finding) => !finding.ok)) process.exitCode = 1;
		});
}

async function programs(): Promise<Finding[]> {
	const tmux = await run("tmux", ["-V"], { timeoutMs: 3000 });
	const installTmux =
		platform() === "darwin" ? "brew install tmux" : "sudo apt install tmux   (or: dnf install tmux, pacman -S tmux)";
	return [
		{ check: "Node.js", ok: true, found: process.version, fix: "" },
		tmux.outcome === "exited" && tmux.code === 0
			? { check: "terminals", ok: true, found: tmux.stdout.trim(), fix: "" }
			: { check: "terminals", ok: false, found: "tmux is not installed", fix: installTmux },
	];
}

async function folder(path: string): Promise<Finding[]> {
	const check = "data folder";
	const at = existsSync(path) ? path : dirname(path);
	try {
		accessSync(at, constants.W_OK);
	} catch {
		return [
			{
				check,
				ok: !existsSync(at),
				found: `${path} cannot be written`,
				fix: "Correct its permissions, or choose another with --data DIR.",
			},
		];
	}
	const free = await freeBytes(at);
	const isEnough = free >= freeSpaceLimits.lowBytes;
	const mb = Math.round(free / 1024 / 1024);
	return [
		{
			check,
			ok: isEnough,
			found: `${path}, ${mb} MB free`,
			fix: isEnough ? "" : "Free disk space: new sessions and documents may fail to be saved.",
		},
	];
}

async function node(data: string): Promise<Finding[]> {
	const check = "node";
	let local: LocalNode;
	try {
		local = new LocalNode(data);
	} catch (fault) {
		return [{ check, ok: false, found: (fault as Error).message, fix: "Start it with: warren up" }];
	}
	try {
		const { url } = local;
		const health = await local.call<{ conditions: readonly Condition[] }>("GET", "/api/health");
		const { errors } = await local.call<{
			errors: readonly { source: string; kind: string; message: string; fix: string }[];
		}>("GET", "/api/peers");
		return [
			{ check, ok: true, found: `running at ${url}`, fix: "" },
			...health.conditions.map((condition) => ({
				check: condition.code,
				ok: condition.severity === "info",
				found: condition.title,
				fix: condition.advice,
			})),
			// Not using Tailscale is no problem.
			...errors.map((error) => ({
				check: `peers from ${error.source}`,
				ok: error.kind === "tailscale_not_installed",
				found: error.message,
				fix: error.kind === "tailscale_not_installed" ? "" : error.fix,
			})),
		];
	} catch (fault) {
		return [{ check, ok: false, found: (fault as Error).message, fix: "Start it again with: warren up" }];
	} finally {
		await local.close();
	}
}
