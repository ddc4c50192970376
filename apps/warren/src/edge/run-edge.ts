import { readFileSync, unwatchFile, watchFile } from "node:fs";
import { messageOf } from "@warren/kernel";
import { countBuffersAsHeap } from "@warren/net";
import { openBackboneRole } from "../backbone/backbone-role.ts";
import { dataFolderOf } from "../cli/data-folder-of.ts";
import type { RoleDeps } from "../cli/run-role.ts";
import { openCoordinator } from "../coordinator/coordinator-role.ts";
import { openGateway } from "../gateway/gateway-role.ts";
import { type OpenedRole, RoleSlots } from "../supervisor/role-slots.ts";
import { type Processes, runSupervised } from "../supervisor/supervised-role.ts";
import { edgeFiles, parseEdgeConfig } from "./edge-config.ts";

/** How soon a certificate that the private process has renewed is taken. */
const certificatePollMs = 500;

/** What faces other machines and other people: one process of `warren up`, which holds no secret of the private one. */
export async function runEdge(flags: Record<string, unknown>): Promise<void> {
	const data = dataFolderOf(flags);
	const config = parseEdgeConfig(flags, process.env, data);
	countBuffersAsHeap();
	await runSupervised("edge", config, async (deps, processes) => {
		const slots: RoleSlots = new RoleSlots({ ...deps, onChange: () => processes.tell(slots.rows()) });
		const files = edgeFiles(data);
		const shared = { adminTokenHashes: [readFileSync(files.consoleHash, "utf8").trim()] };
		await slots.start("coordinator", () => openCoordinator(deps, config.coordinator, shared));
		await slots.start("backbone", () => openEdgeBackbone(deps, processes, config.backbone, files, shared));
		const { gateway } = config;
		if (gateway !== null) await slots.start("gateway", () => openGateway(deps, gateway, shared));
		return { ready: {}, greeting: "", close: () => slots.close() };
	});
}

/** The backbone, administered by this machine's private process too, with the certificate that one makes. */
async function openEdgeBackbone(
	deps: RoleDeps,
	processes: Processes,
	config: Parameters<typeof openBackboneRole>[1],
	files: ReturnType<typeof edgeFiles>,
	shared: { readonly adminTokenHashes: readonly string[] },
): Promise<OpenedRole> {
	const role = await openBackboneRole(deps, config, shared);
	if (role.adminToken !== null) processes.notice(`Backbone admin token ${role.adminToken}  (shown this once)\n`);
	if (config.tlsCert === undefined) return role;
	const renew = () => {
		try {
			role.setCertificate(readFileSync(files.cert, "utf8"), readFileSync(files.key, "utf8"));
		} catch (fault) {
			deps.logger.error("the new certificate is not usable: the old one stays", { fault: messageOf(fault) });
		}
	};
	watchFile(files.cert, { interval: certificatePollMs, persistent: false }, renew);
	return {
		ready: role.ready,
		close: () => {
			unwatchFile(files.cert, renew);
			return role.close();
		},
	};
}
