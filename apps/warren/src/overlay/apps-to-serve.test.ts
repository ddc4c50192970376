import { mkdirSync, writeFileSync } from "node:fs";
import { silentLogger } from "@warren/kernel";
import { tempFolder } from "@warren/testkit";
import { expect, it } from "vitest";
import { appsToServe } from "./apps-to-serve.ts";

const uuid = (number: number) => `0191e7c2-1111-7222-8333-${number.toString().padStart(12, "0")}`;

it("a machine serves no more apps than a coordinator takes, and those first that it was told by name", () => {
	using folder = tempFolder("apps");
	mkdirSync(folder.file("overlay"));
	const told = Array.from({ length: 200 }, (_, at) => ({ uuid: uuid(at), host: "127.0.0.1", port: 8080 }));
	const exposed = Array.from({ length: 100 }, (_, at) => ({ uuid: uuid(1_000 + at), port: 9090, name: `s${at}` }));
	const warned: unknown[] = [];
	const logger = { ...silentLogger, warn: (_line: string, fields?: object) => void warned.push(fields) };
	const served = () => appsToServe(told, folder.path, logger).map((app) => app.uuid);
	expect(served()).toEqual(told.map((app) => app.uuid));
	writeFileSync(folder.file("overlay/apps.json"), JSON.stringify(exposed.slice(0, 56)));
	expect([served().length, warned]).toEqual([256, []]);
	writeFileSync(folder.file("overlay/apps.json"), JSON.stringify(exposed));
	expect(served()).toEqual([...told, ...exposed.slice(0, 56)].map((app) => app.uuid));
	expect(warned).toEqual([{ apps: 300, maxApps: 256 }]);
});
