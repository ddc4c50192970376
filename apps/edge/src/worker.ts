// The passkeys' library looks for it when it is loaded.
import "reflect-metadata";
import type { Environment } from "./platform.ts";

export { HubObject } from "./hub/hub-object.ts";

/** One hub a deployment. */
const hubName = "hub";

/** The program that Workers run: everything is the hub's to judge. */
export default {
	fetch(request: Request, environment: Environment): Promise<Response> {
		return environment.HUB.get(environment.HUB.idFromName(hubName)).fetch(request);
	},
};
