import { HealthTable } from "@warren/kernel";
import { type HostedApp, Joiner, type JoinerOptions, linuxNetwork } from "@warren/overlay/joiner";
import type { RoleDeps, RunningRole } from "../cli/run-role.ts";
import { type JoinerConfig, readLinkTls, rememberSettings } from "../config/joiner-config.ts";
import { version } from "../version.ts";
import { LastingJoiner } from "./lasting-joiner.ts";
import { openDeviceWith } from "./open-device.ts";

export interface JoinerRole extends RunningRole {
	readonly health: HealthTable;
	/** Its coordinators are elsewhere now. */
	readonly moveTo: (coordinator: JoinerConfig["coordinator"]) => void;
	/** @throws WarrenError `no_network`. */
	readonly setApps: (apps: JoinerConfig["apps"]) => Promise<void>;
}

/** This machine on the overlay: the one role with network privileges. */
export async function openJoiner(deps: RoleDeps, given: JoinerConfig): Promise<JoinerRole> {
	let config = given;
	const health = new HealthTable(deps.clock);
	const openDevice = openDeviceWith({ ...deps, health });
	const open = (apps: readonly HostedApp[], onUnfit: (reason: string) => void) =>
		Joiner.open({ ...deps, health, openDevice, network: linuxNetwork, onUnfit }, optionsOf(config, apps));
	const { lasting, first: joiner } = await LastingJoiner.open({ ...deps, open }, config.apps);
	rememberSettings(config, deps.logger);
	const ready = {
		ula: joiner.ula,
		peer_id: joiner.peerId,
		wg_public_key: joiner.publicKey,
		connected: joiner.connected,
		interface: config.interface,
		pid: process.pid,
	};
	const greeting = `${config.name} is on the overlay as ${joiner.ula} (${config.interface}).\n${joiner.connected ? "" : "No coordinator answers: it goes on with what it knew.\n"}`;
	return {
		...{ ready, greeting, health },
		moveTo: (coordinator) => {
			config = { ...config, coordinator };
			rememberSettings(config, deps.logger);
			void lasting.reopen("its coordinator is elsewhere now");
		},
		setApps: (apps) => lasting.setApps(apps),
		close: () => lasting.close(),
	};
}

function optionsOf(config: JoinerConfig, apps: readonly HostedApp[]): JoinerOptions {
	return {
		folder: config.folder,
		coordinators: config.coordinator,
		tls: readLinkTls(config),
		readTls: () => readLinkTls(config),
		...(config.joinToken === undefined ? {} : { joinToken: config.joinToken }),
		name: config.name,
		network: config.network,
		tags: config.tag,
		interfaceName: config.interface,
		listenPort: config.listenPort,
		...(config.listenEndpoint === undefined ? {} : { listenEndpoint: config.listenEndpoint }),
		relayOnly: config.relayOnly,
		dataPlane: config.dataPlane,
		apps,
		namePort: config.names ? 53 : null,
		localCandidates: true,
		softwareVersion: `warren/${version}`,
	};
}
