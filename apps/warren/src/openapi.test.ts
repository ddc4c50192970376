import { Validator } from "@seriousme/openapi-schema-validator";
import { silentLogger, systemClock, systemRandom } from "@warren/kernel";
import { type Route, Router, templateOf } from "@warren/net";
import { tempFolder } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import { openBackboneRole } from "./backbone/backbone-role.ts";
import { exposePart } from "./backbone/expose-part.ts";
import { parseBackboneConfig } from "./config/backbone-config.ts";
import { parseCoordinatorConfig } from "./config/coordinator-config.ts";
import { parseGatewayConfig } from "./config/gateway-config.ts";
import { parseHubConfig } from "./config/hub-config.ts";
import { parseNodeConfig } from "./config/node-config.ts";
import { parseSidecarConfig } from "./config/sidecar-config.ts";
import { consolePart } from "./console/console-part.ts";
import { openCoordinator } from "./coordinator/coordinator-role.ts";
import { openGateway } from "./gateway/gateway-role.ts";
import { openHub } from "./hub/hub-role.ts";
import { MachineRemovals } from "./hub/machine-removals.ts";
import { openNode } from "./node/node-role.ts";
import { openPushPart } from "./push/push-part.ts";
import { openRoomsPart } from "./rooms/rooms-part.ts";
import { openSidecarRole } from "./sidecar/sidecar-role.ts";

/** Each role as it runs alone: what its `/openapi.json` says against the table that answers its requests. */
const deps = { clock: systemClock, random: systemRandom, logger: silentLogger };

interface Opened {
	readonly url: string;
	readonly routes: readonly Route[];
	close(): void | Promise<void>;
}
type Document = {
	readonly openapi: string;
	readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
};
interface Operation {
	readonly operationId: string;
	readonly summary: string;
	readonly parameters: readonly { readonly name: string; readonly in: string }[];
	readonly security: readonly object[];
	readonly requestBody?: object;
	readonly "x-websocket"?: true;
}

const roles: Readonly<Record<string, (data: string) => Promise<Opened>>> = {
	node: async (data) => {
		const flags = {
			data,
			host: "127.0.0.1",
			port: 0,
			http: true,
			tailscale: "/nonexistent",
			webFolder: `${data}-none`,
		};
		const config = parseNodeConfig(flags, { WARREN_PIN: "lovelace-1815" });
		const always = [openRoomsPart, exposePart(null, new MachineRemovals()), consolePart(null), openPushPart];
		const { listener, close } = await openNode(deps, config, { always });
		return { url: `http://127.0.0.1:${listener.port}`, routes: listener.routes(), close };
	},
	hub: async (data) => {
		const { listener, close } = await openHub(
			deps,
			parseHubConfig({ data, port: 0, http: true, workspaces: true }, {}),
		);
		return { url: `http://127.0.0.1:${listener.port}`, routes: listener.routes(), close };
	},
	sidecar: async (data) => {
		const config = parseSidecarConfig({ data, port: 0, hub: "http://127.0.0.1:9" }, {});
		const { listener, ready, close } = await openSidecarRole(deps, config);
		return { url: ready.url, routes: listener.routes(), close };
	},
	gateway: async (data) => {
		const { listener, close } = await openGateway(deps, parseGatewayConfig({ data, host: "127.0.0.1", port: 0 }, {}));
		if (listener === null) throw new Error("a gateway alone has its listener");
		return { url: `http://127.0.0.1:${listener.port}`, routes: listener.routes(), close };
	},
	coordinator: async (data) => {
		const flags = { data, bind: "127.0.0.1:0", stunPort: "0", insecureNoMtls: true };
		const { listener, close } = await openCoordinator(
			deps,
			parseCoordinatorConfig(flags, { WARREN_ALLOW_INSECURE: "1" }),
		);
		if (listener === null) throw new Error("a coordinator alone has its listener");
		return { url: `http://127.0.0.1:${listener.port}`, routes: listener.routes(), close };
	},
	backbone: async (data) => {
		const flags = { data, host: "127.0.0.1", port: "0", http: true, domain: "localhost", streamPorts: "0-0" };
		const { ready, routes, close } = await openBackboneRole(deps, parseBackboneConfig(flags, {}));
		return { url: `http://127.0.0.1:${ready.port}`, routes, close };
	},
};

const verbsOf = ({ method }: { readonly method: Route["method"] }) =>
	method === "ALL" ? ["GET", "POST", "PUT", "PATCH", "DELETE"] : [method];

/** What the table promises: `GET /api/peers/{peer}`, `WS /ws/{session}`. */
const promisedBy = (routes: readonly Route[]) =>
	routes.flatMap((route) =>
		(route.about?.paths ?? (route.about === null ? [] : [route])).flatMap((each) =>
			verbsOf(each).map((verb) => `${verb} ${templateOf(each.path)}`),
		),
	);

const operationsIn = ({ paths }: Document) =>
	Object.entries(paths).flatMap(([path, verbs]) =>
		Object.entries(verbs).map(([verb, operation]) => ({
			path,
			verb: operation["x-websocket"] === true ? "WS" : verb.toUpperCase(),
			operation,
		})),
	);

describe.each(Object.entries(roles))("the description of a %s", (role, open) => {
	it("is valid, says every route and no other, and holds to their credentials", async () => {
		using folder = tempFolder(`openapi-${role}`);
		const { url, routes, close } = await open(folder.file("data"));
		try {
			const answer = await fetch(`${url}/openapi.json`);
			expect([answer.status, answer.headers.get("content-type")]).toEqual([200, "application/json"]);
			const document = (await answer.json()) as Document;
			expect(await new Validator().validate(document)).toMatchObject({ valid: true });

			const silent = routes.filter((route) => route.about === undefined);
			expect(silent.map(({ method, path }) => `${method} ${path}`)).toEqual([]);
			const said = operationsIn(document);
			expect(said.map(({ verb, path }) => `${verb} ${path}`).sort()).toEqual([...new Set(promisedBy(routes))].sort());

			const router = new Router(routes);
			for (const { verb, path, operation } of said) {
				const match = router.match(verb, path.replace(/\{[^}]+\}/g, "x"));
				if (match.found !== "route") throw new Error(`${verb} ${path} is described, and no route answers it`);
				const open = match.route.credentials.includes("none");
				expect(
					operation.security.some((each) => Object.keys(each).length === 0) || operation.security.length === 0,
					path,
				).toBe(open);
				expect(operation.summary, path).not.toBe("");
			}
			const ids = said.map(({ operation }) => operation.operationId);
			expect(ids.filter((id, at) => ids.indexOf(id) !== at)).toEqual([]);
			// OpenAPI forbids two templates that differ in their parameters' names alone.
			const shapes = Object.keys(document.paths).map((path) => path.replace(/\{[^}]+\}/g, "{}"));
			expect(shapes.filter((shape, at) => shapes.indexOf(shape) !== at)).toEqual([]);
			expect(said.length).toBeGreaterThan(5);
		} finally {
			await close();
		}
	}, 60_000);
});

describe("a description", () => {
	it("has the schemas that bodies and questions are read with", async () => {
		using folder = tempFolder("openapi-shapes");
		const { url, close } = await (roles["node"] as (data: string) => Promise<Opened>)(folder.file("data"));
		try {
			const { paths } = (await (await fetch(`${url}/openapi.json`)).json()) as Document;
			expect(paths["/api/peers"]?.["post"]?.requestBody).toMatchObject({
				content: { "application/json": { schema: { required: ["host"], properties: { port: { maximum: 65_535 } } } } },
			});
			expect(paths["/api/audit"]?.["get"]?.parameters).toMatchObject([
				{ name: "limit", in: "query", required: false },
				{ name: "before", in: "query", required: false },
				{ name: "role", in: "query", required: false },
				{ name: "actor", in: "query", required: false },
			]);
			expect(paths["/r/{peer}/api/{rest}"]?.["delete"]?.parameters.map(({ name }) => name)).toEqual(["peer", "rest"]);
			expect(paths["/ws/{session}"]?.["get"]).toMatchObject({ "x-websocket": true, responses: { 101: {} } });
		} finally {
			await close();
		}
	}, 60_000);
});
