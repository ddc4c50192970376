import { renderUnicodeCompact } from "uqr";
import { exposePart } from "../backbone/expose-part.ts";
import { type RoleDeps, type RunningRole, runRole } from "../cli/run-role.ts";
import { type NodeConfig, parseNodeConfig } from "../config/node-config.ts";
import { consolePart } from "../console/console-part.ts";
import { edgePart } from "../edge/edge-part.ts";
import { hubPart } from "../hub/hub-part.ts";
import { MachineRemovals } from "../hub/machine-removals.ts";
import { openPushPart } from "../push/push-part.ts";
import { openRoomsPart } from "../rooms/rooms-part.ts";
import { processesPart } from "../supervisor/processes-part.ts";
import { runSupervised } from "../supervisor/supervised-role.ts";
import { type NodeParts, type NodeReady, openNode } from "./node-role.ts";

/** The node role alone. */
export async function runNode(flags: Record<string, unknown>): Promise<void> {
	const config = parseNodeConfig(flags, process.env);
	await runRole("node", config, (deps) =>
		open(deps, config, {
			always: [openRoomsPart, exposePart(null, new MachineRemovals()), consolePart(null), openPushPart],
		}),
	);
}

/** What is private to a machine's owner: node, hub, sidecar; one process of `warren up`. */
export async function runPrivate(flags: Record<string, unknown>): Promise<void> {
	const config = parseNodeConfig(flags, process.env);
	await runSupervised("private", config, (deps, processes) => {
		const removals = new MachineRemovals();
		return open(deps, config, {
			first: [hubPart(processes, removals), edgePart],
			always: [
				processesPart(processes),
				openRoomsPart,
				exposePart(processes, removals),
				consolePart(processes),
				openPushPart,
			],
		});
	});
}

async function open(deps: RoleDeps, config: NodeConfig, beside: NodeParts): Promise<RunningRole> {
	const role = await openNode(deps, config, beside);
	const { firstCredentials } = role;
	return {
		ready: role.ready,
		greeting: greeting(config.name, role.ready),
		...(firstCredentials === null
			? {}
			: {
					notice: `User ${firstCredentials.user}, PIN ${firstCredentials.pin}  (shown this once; the setup link changes it)\n`,
				}),
		close: () => role.close(),
	};
}

function greeting(name: string, ready: NodeReady): string {
	const lines = [`Warren is up on ${name}.`, "", `  Open        ${ready.url}`];
	if (ready.lanUrl !== null) lines.push(`  On a phone  ${ready.lanUrl}`);
	if (ready.caFingerprint !== null) {
		lines.push(
			`  Trust       ${ready.url}/trust   (once per device, so that browsers stop warning)`,
			`  CA SHA-256  ${ready.caFingerprint}`,
		);
	}
	if (ready.setupUrl !== null) {
		const phoneUrl = ready.setupUrl.replace(ready.url, ready.lanUrl ?? ready.url);
		lines.push(
			"",
			"First time here? Open this link once, within a day, or scan it with your phone:",
			"",
			`  ${ready.setupUrl}`,
			"",
		);
		lines.push(renderUnicodeCompact(phoneUrl, { border: 1 }));
	}
	lines.push("", `Data is in ${ready.data}. Stop with Ctrl-C.`, "");
	return `${lines.join("\n")}\n`;
}
