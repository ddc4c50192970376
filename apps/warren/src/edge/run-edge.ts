import { dataFolderOf } from "../cli/data-folder-of.ts";
import { openCoordinator } from "../coordinator/coordinator-role.ts";
import { openGateway } from "../gateway/gateway-role.ts";
import { RoleSlots } from "../supervisor/role-slots.ts";
import { runSupervised } from "../supervisor/supervised-role.ts";
import { parseEdgeConfig } from "./edge-config.ts";

/** What faces other machines and other people: one process of `warren up`, which holds no secret of the private one. */
export async function runEdge(flags: Record<string, unknown>): Promise<void> {
	const data = dataFolderOf(flags);
	const config = parseEdgeConfig(flags, process.env, data);
	await runSupervised(config, async (deps, processes) => {
		const slots: RoleSlots = new RoleSlots({ ...deps, onChange: () => processes.tell(slots.rows()) });
		await slots.start("coordinator", () => openCoordinator(deps, config.coordinator));
		const { gateway } = config;
		if (gateway !== null) await slots.start("gateway", () => openGateway(deps, gateway));
		return { ready: {}, greeting: "", close: () => slots.close() };
	});
}
