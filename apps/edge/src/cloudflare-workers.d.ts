/** As much as is used of what the platform provides under this name. */
declare module "cloudflare:workers" {
	/** Its methods can be called by whoever holds a binding to it, and by nobody else. */
	export abstract class DurableObject<State = unknown, Environment = unknown> {
		protected readonly ctx: State;
		protected readonly env: Environment;
		constructor(state: State, environment: Environment);
	}
}
