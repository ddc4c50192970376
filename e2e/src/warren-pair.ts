import { freePort, type StartedNode, startNode } from "@warren/testkit";
import type { Machine } from "./network/machines.ts";

/** A first machine with its owner's account, and a second one that joined it. */
export interface WarrenPair extends AsyncDisposable {
	first: StartedNode;
	second: StartedNode;
	/** Of the owner, at the hub. */
	readonly session: string;
	/** Of the two sidecars, on loopback. */
	readonly sidecars: readonly [string, string];
	/** The first machine again, on its own data and port: after it was stopped or killed. */
	restartFirst(): Promise<void>;
	restartSecond(): Promise<void>;
}

export const owner = { name: "Ada", email: "ada@example.test", password: "correct horse battery" };
export const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

/** Asks a node with exactly these headers. */
export async function call(
	node: StartedNode,
	method: string,
	path: string,
	headers: Record<string, string>,
	body?: unknown,
): Promise<{ status: number; body: any; headers: { get(name: string): string | null } }> {
	const answer = await node.fetch(path, {
		method,
		headers: { authorization: "", ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
		...(body === undefined ? {} : { body: JSON.stringify(body) }),
	});
	const text = await answer.text();
	return { status: answer.status, body: text === "" ? null : JSON.parse(text), headers: answer.headers };
}

/** @param machines where the two run; both on loopback unless told. */
export async function startPair(machines: readonly Machine[] = []): Promise<WarrenPair> {
	const ports = [await freePort(), await freePort()] as const;
	const place = (index: 0 | 1) => {
		const { host, through } = machines[index] ?? { host: "127.0.0.1", through: [] };
		return { host, through, env: { WARREN_SIDECAR_PORT: String(ports[index]) } };
	};
	const started: { first?: StartedNode; second?: StartedNode } = {};
	const stop = async () => {
		await started.second?.[Symbol.asyncDispose]();
		await started.first?.[Symbol.asyncDispose]();
	};
	try {
		const first = await startNode({ ...place(0), command: ["up"], name: "atlas", pin: null });
		started.first = first;
		const setup = { "x-warren-setup": (first.setupUrl as string).split("#setup=")[1] as string };
		const session = (await call(first, "POST", "/auth/signup", setup, owner)).body.token as string;
		const { code } = (await call(first, "POST", "/v1/invites", bearer(session), {})).body as { code: string };
		const joining = { name: "burrow", user: "bob", pin: "bobs-pin-1" };
		const at = place(1);
		const env = { ...at.env, WARREN_JOIN_CODE: code };
		const second = await startNode({ ...at, ...joining, command: ["join", first.origin], env });
		started.second = second;
		const pair: WarrenPair = {
			first,
			second,
			session,
			sidecars: [`http://127.0.0.1:${ports[0]}`, `http://127.0.0.1:${ports[1]}`],
			async restartFirst() {
				const { home, port } = pair.first;
				pair.first = await startNode({ ...place(0), command: ["up"], name: "atlas", pin: null, home, port });
				started.first = pair.first;
			},
			async restartSecond() {
				const { home, port } = pair.second;
				pair.second = await startNode({ ...place(1), ...joining, command: ["up"], home, port });
				started.second = pair.second;
			},
			[Symbol.asyncDispose]: stop,
		};
		return pair;
	} catch (failure) {
		await stop();
		throw failure;
	}
}
