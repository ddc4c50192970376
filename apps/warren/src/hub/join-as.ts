import { DataFolder } from "../config/data-folder.ts";
import type { NodeConfig } from "../config/node-config.ts";
import { choosePort, dialledHosts } from "../node/node-names.ts";
import { version } from "../version.ts";
import { becomeMember } from "./membership.ts";

/**
 * Makes this machine's data folder a member of the warren at `url`.
 * @returns the port that the hub was told: this machine's from now on.
 * @throws WarrenError as the hub refused, `data_in_use`.
 */
export async function joinAs(config: NodeConfig, url: string, code: string): Promise<number> {
	const port = await choosePort(config);
	const data = DataFolder.open(config.data);
	try {
		await becomeMember(data, url, code, { name: config.name, hosts: dialledHosts(config), port, version });
	} finally {
		data.close();
	}
	return port;
}
