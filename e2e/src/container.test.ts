import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ContainerEngine } from "./container-engine.ts";
import { playScene } from "./docs/play-scene.ts";
import { type Shell, served, typed } from "./docs/typed.ts";

/** What docs/packaging.md shows of docker is typed as it stands, from the top of the checkout. */
const top = join(import.meta.dirname, "../..");
const minutes = 60_000;
const missing =
	process.env["WARREN_LONG_TESTS"] === "1"
		? ContainerEngine.missing()
		: "it installs two systems and builds everything anew: WARREN_LONG_TESTS=1 runs it";

describe("the container", () => {
	const stack = new AsyncDisposableStack();
	let shell: Shell;
	/** Where the ports are published. */
	let beside: Shell;
	beforeAll(async () => {
		if (missing !== null) return;
		const engine = stack.use(await ContainerEngine.start());
		shell = { cwd: top, env: { PATH: `${engine.bin}:` } };
		beside = { ...shell, through: engine.through };
	}, 10 * minutes);
	afterAll(() => stack.disposeAsync(), 10 * minutes);

	const says = async (line: string, text: RegExp, where: Shell = shell) => {
		const { code, text: said } = await typed(line, where);
		expect([code, said], line).toEqual([0, expect.stringMatching(text)]);
	};

	it("is built, runs a machine and a hub, and says how to set it up", { timeout: 20 * minutes }, async (context) => {
		context.skip(missing !== null, missing ?? "");
		await playScene(stack, "container", shell, {}, async ({ shown }) => {
			// It has come up, which its log says.
			if (shown.startsWith("docker run -d"))
				await (await served("docker logs --follow warren", /#setup=/, shell))[Symbol.asyncDispose]();
			if (shown === "docker run … warren hub")
				await (await served("docker logs --follow hub", /#setup=/, shell))[Symbol.asyncDispose]();
		});
	});

	it("answers on its published ports, by its own name alone", async (context) => {
		context.skip(missing !== null, missing ?? "");
		const asks = (origin: string, port: number) =>
			`curl --silent --insecure --connect-to ::127.0.0.1:${port} -H 'accept: application/json' ${origin}:${port}/`;
		await says(asks("https://burrow.example.net", 5151), /"app":"warren"[^]*"node"/, beside);
		await says(asks("https://hub.example.net", 3914), /"app":"warren"[^]*"hub"/, beside);
		await says(
			`${asks("https://other.example.net", 5151)} --output /dev/null --write-out '%{http_code}'`,
			/^421$/,
			beside,
		);
	});

	it("runs as its user, with what a terminal needs, on the volume, and tells its health", async (context) => {
		context.skip(missing !== null, missing ?? "");
		await says("docker exec warren id -u", /^1000$/m);
		await says("docker exec warren tmux -V", /^tmux /);
		await says("docker exec warren stat -c %u:%a /data", /^1000:/);
		await says("docker exec warren warren status", /burrow/);
		for (const each of ["warren", "hub"]) await says(`docker healthcheck run ${each}`, /^\s*$/);
	});

	it("ends in good order, and goes on from its volume", async (context) => {
		context.skip(missing !== null, missing ?? "");
		for (const each of ["warren", "hub"]) {
			await says(`docker stop --time 30 ${each}`, new RegExp(each));
			await says(`docker inspect --format '{{.State.ExitCode}}' ${each}`, /^0$/m);
		}
		const since = new Date().toISOString();
		await says("docker start warren", /warren/);
		await (await served(`docker logs --follow --since ${since} warren`, /Warren is up/, shell))[Symbol.asyncDispose]();
	});
});
