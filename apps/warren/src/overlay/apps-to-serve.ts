import type { Logger } from "@warren/kernel";
import { type HostedApp, joinerLimits } from "@warren/overlay/joiner";
import { readApps } from "./apps-file.ts";

/**
 * What this machine is told to serve, and what it exposes besides, as far as a coordinator takes them: it would refuse
 * each word of a machine with more, which would leave the overlay.
 */
export function appsToServe(told: readonly HostedApp[], dataPath: string, logger: Logger): readonly HostedApp[] {
	const all = [...told, ...readApps(dataPath)];
	const { maxApps } = joinerLimits;
	if (all.length > maxApps) logger.warn("apps without an address: too many", { apps: all.length, maxApps });
	return all.slice(0, maxApps);
}
