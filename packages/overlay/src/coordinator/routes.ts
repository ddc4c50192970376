import type { Route } from "@warren/net";
import { administrationRoutes } from "./administration-routes.ts";
import { membershipRoutes } from "./membership-routes.ts";
import { policyRoutes } from "./policy-routes.ts";
import { rosterRoutes } from "./roster-routes.ts";
import type { CoordinatorRouteDeps } from "./route-deps.ts";
import { serviceNameRoutes } from "./service-name-routes.ts";

/** The original's control plane, literally, and what is added to it: docs/overlay.md. */
export function coordinatorRoutes(deps: CoordinatorRouteDeps): Route[] {
	return [
		...membershipRoutes(deps),
		...rosterRoutes(deps),
		...administrationRoutes(deps),
		...policyRoutes(deps),
		...serviceNameRoutes(deps),
	];
}
