import { join } from "node:path";
import { Workerd } from "@warren/testkit";
import type { FreshHub } from "./accounts-worker.testing.ts";
import { authSuite } from "./auth/auth.contract.ts";
import { pluginsSuite } from "./auth/plugins.contract.ts";
import type { RemoteHubs } from "./hub.testing.ts";
import { meSuite } from "./me.contract.ts";

/** The suites of the contract that ask for no machines: none join a hub on Workers. */
export function workersSuites(hubs: RemoteHubs): void {
	authSuite(hubs);
	pluginsSuite(hubs);
	meSuite(hubs);
}

/** Accounts in the real runtime, one hub after the other. */
export class WorkerHubs implements AsyncDisposable {
	readonly #workerd: Workerd;

	private constructor(workerd: Workerd) {
		this.#workerd = workerd;
	}

	static async start(): Promise<WorkerHubs> {
		const entry = join(import.meta.dirname, "accounts-worker.testing.ts");
		return new WorkerHubs(await Workerd.start(entry, { objects: { HUB: "AccountsObject" } }));
	}

	get port(): number {
		return this.#workerd.port;
	}

	async fresh(hub: FreshHub): Promise<void> {
		await this.#ask("/~fresh", hub);
	}

	/** Of the object's own tables. */
	async query(sql: string, parameters: readonly unknown[]): Promise<never[]> {
		return (await (await this.#ask("/~sql", { sql, parameters })).json()) as never[];
	}

	async #ask(path: string, body: unknown): Promise<Response> {
		const answer = await fetch(`${this.#workerd.origin}${path}`, { method: "POST", body: JSON.stringify(body) });
		if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
		return answer;
	}

	[Symbol.asyncDispose](): Promise<void> {
		return this.#workerd[Symbol.asyncDispose]();
	}
}
