import { describeIdentity } from "@warren/kernel";
import type { RequestContext } from "@warren/net";
import type { OpenPart } from "../node/role-part.ts";
import type { Processes } from "../supervisor/supervised-role.ts";
import { activityRoutes } from "./activity-routes.ts";
import { backboneRoutes } from "./backbone-routes.ts";
import { EdgeDoors } from "./edge-doors.ts";
import { networkRoutes } from "./network-routes.ts";
import { PolicyHistory } from "./policy-history.ts";

/**
 * What the pages Network, Access and Services ask: the node passes it on to coordinator and backbone with a credential
 * of its own, for whoever may open this machine's terminals. No administrator's token reaches a browser.
 * @param processes null where a node runs alone.
 */
export function consolePart(processes: Processes | null): OpenPart {
	return async (base, config) => {
		const doors = new EdgeDoors(base, config, processes);
		const actorOf = ({ identity }: RequestContext) => (identity === null ? "anonymous" : describeIdentity(identity));
		const record = (context: RequestContext, action: string, target: string, details = {}) =>
			base.audit.record({
				actor: actorOf(context),
				action,
				target,
				outcome: "ok",
				address: context.remoteAddress,
				details,
			});
		const history = new PolicyHistory(base.data, base.clock);
		return {
			name: "console",
			authenticators: [],
			peerSources: [],
			roles: () => [],
			routes: [
				...networkRoutes({ doors, history, dataPath: base.data.path, record, actorOf }),
				...backboneRoutes(doors, record),
				...activityRoutes(base.audit, doors),
			],
		};
	};
}
