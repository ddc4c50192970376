import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, it } from "vitest";

/**
 * The layers of ARCHITECTURE.md, read from the code's imports and from each package.json (hoisting would let an
 * undeclared sibling resolve, and no other tool notices).
 */
const root = resolve(import.meta.dirname, "..");

/** What each package may import of the others. A package that is not listed here may not exist. */
const layers: Readonly<Record<string, { readonly may: readonly string[]; readonly why: string }>> = {
	kernel: { may: [], why: "kernel knows nothing and does no I/O" },
	net: { may: ["kernel"], why: "the I/O edge knows no domain" },
	store: { may: ["kernel"], why: "storage knows no domain" },
	accounts: { may: ["kernel", "net", "store"], why: "domains never import each other" },
	ai: { may: ["kernel", "net", "store"], why: "domains never import each other" },
	access: { may: ["kernel", "net", "store"], why: "domains never import each other" },
	overlay: { may: ["kernel", "net", "store"], why: "domains never import each other" },
	gateway: { may: ["kernel", "net", "store"], why: "domains never import each other" },
	backbone: { may: ["kernel", "net", "store"], why: "domains never import each other" },
	peers: { may: ["kernel", "net", "store"], why: "domains never import each other" },
	rooms: { may: ["kernel", "net", "store"], why: "domains never import each other" },
	sidecar: { may: ["kernel", "net"], why: "domains never import each other" },
	terminal: { may: ["kernel", "net", "store"], why: "domains never import each other" },
	sync: { may: ["kernel", "net", "store"], why: "domains never import each other" },
	wireguard: { may: ["kernel", "net", "store"], why: "domains never import each other" },
	testkit: { may: ["kernel", "net", "store"], why: "what tests share stands on the base alone" },
	edge: {
		may: ["kernel", "net", "store", "accounts", "ai", "sync", "sync/protocol", "sync/testing"],
		why: "roles are compositions of the packages",
	},
	cli: {
		may: [
			"kernel",
			"net",
			"store",
			"access",
			"accounts",
			"ai",
			"backbone",
			"gateway",
			"overlay",
			"overlay/joiner",
			"peers",
			"rooms",
			"sidecar",
			"sync",
			"terminal",
			"wireguard",
		],
		why: "roles are compositions of the packages",
	},
	web: { may: ["sync/protocol", "terminal/protocol"], why: "the browser gets protocols, never servers" },
	bench: {
		may: [
			"kernel",
			"net",
			"ai",
			"overlay",
			"store",
			"sync",
			"sync/protocol",
			"terminal",
			"terminal/protocol",
			"testkit",
			"wireguard",
			"cli",
		],
		why: "benches drive what ships from outside",
	},
	e2e: {
		may: ["kernel", "net", "accounts", "sync/protocol", "terminal/protocol", "testkit"],
		why: "end-to-end tests use public doors",
	},
};

/** Modules that would make a protocol folder do I/O. `node:crypto` is arithmetic. */
const ioModules = /^node:(?!crypto$|assert$|buffer$|util$)|^(ws|undici|pino|hono|kysely|@hono\/|@lydell\/)/;

interface Package {
	readonly name: string;
	readonly folder: string;
	readonly manifest: Record<string, unknown>;
	readonly files: readonly string[];
}

const packages = ["packages", "apps"]
	.flatMap((folder) => readdirSync(join(root, folder)).map((name) => join(root, folder, name)))
	.concat([join(root, "bench"), join(root, "e2e")])
	.filter((folder) => existsSync(join(folder, "package.json")))
	.map((folder): Package => {
		const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Record<string, unknown>;
		return {
			name: (manifest["name"] as string).replace("@warren/", ""),
			folder,
			manifest,
			files: sourcesUnder(folder),
		};
	});

describe("the layers", () => {
	it("list every package, and have files to look at", () => {
		expect(packages.map((each) => each.name).sort()).toEqual(Object.keys(layers).sort());
		for (const each of packages) expect(each.files.length, each.name).toBeGreaterThan(0);
		expect(packages.flatMap((each) => each.files).length).toBeGreaterThan(80);
	});

	it("imports run downward, through public doors, and are declared", () => {
		const faults: string[] = [];
		let seen = 0;
		for (const each of packages) {
			const { may, why } = layers[each.name] ?? { may: [], why: "it has no layer" };
			for (const file of each.files) {
				const isTest = /\.(test|testing|contract)\.tsx?$/.test(file);
				for (const specifier of importsOf(file)) {
					const where = relative(root, file);
					if (specifier.startsWith(".")) {
						const target = resolve(dirname(file), specifier);
						if (!target.startsWith(each.folder)) faults.push(`${where} reaches out of its package: ${specifier}`);
						continue;
					}
					if (!specifier.startsWith("@warren/")) continue;
					seen += 1;
					const door = specifier.slice("@warren/".length);
					const [name = ""] = door.split("/");
					if (name === "testkit" && isTest) continue;
					if (!may.includes(door)) faults.push(`${where} imports ${specifier}: ${why}`);
					const declared = {
						...(each.manifest["dependencies"] as object | undefined),
						...(each.manifest["devDependencies"] as object | undefined),
					};
					if (!(`@warren/${name}` in declared))
						faults.push(`${where} imports ${specifier}, which its package.json does not declare`);
				}
			}
			for (const name of Object.keys((each.manifest["dependencies"] as object | undefined) ?? {})) {
				if (!name.startsWith("@warren/")) continue;
				const door = name.slice("@warren/".length);
				if (!may.some((allowed) => allowed.split("/")[0] === door))
					faults.push(`${each.name}/package.json declares ${name}: ${why}`);
			}
		}
		expect(faults).toEqual([]);
		expect(seen).toBeGreaterThan(40);
	});

	it("protocol folders and the kernel do no I/O", () => {
		const pure = packages.flatMap((each) =>
			each.files.filter(
				(file) => !file.includes(".test.") && (file.includes("/src/protocol/") || each.name === "kernel"),
			),
		);
		expect(pure.length).toBeGreaterThan(15);
		const faults = pure.flatMap((file) =>
			importsOf(file)
				.filter(
					(specifier) =>
						ioModules.test(specifier) || (file.includes("/src/protocol/") && /^@warren\/(?!kernel$)/.test(specifier)),
				)
				.map((specifier) => `${relative(root, file)} imports ${specifier}`),
		);
		expect(faults).toEqual([]);
	});

	it("each package has one door that lists its names (and one more for its protocol)", () => {
		for (const each of packages.filter((candidate) => candidate.folder.includes("/packages/"))) {
			const doors = Object.keys(each.manifest["exports"] as object);
			expect(
				doors.filter((door) => ![".", "./protocol", ...(furtherDoors[each.name] ?? [])].includes(door)),
				each.name,
			).toEqual([]);
			expect(readFileSync(join(each.folder, "src/index.ts"), "utf8"), each.name).not.toMatch(/export \*/);
		}
	});
});

const furtherDoors: Readonly<Record<string, readonly string[]>> = {
	// The joiner's process is on every machine, and must not load the coordinator.
	overlay: ["./joiner"],
	// The client by which tests say exactly what they mean to, at this hub and at the one on Workers.
	sync: ["./testing"],
};

function sourcesUnder(folder: string): string[] {
	return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
		if (["node_modules", "dist", "testdata", "public"].includes(entry.name)) return [];
		const path = join(folder, entry.name);
		if (entry.isDirectory()) return sourcesUnder(path);
		return /\.tsx?$/.test(entry.name) && !entry.name.endsWith(".d.ts") ? [path] : [];
	});
}

function importsOf(file: string): string[] {
	const source = readFileSync(file, "utf8").replace(/\/\*[\s\S]*?\*\//g, "");
	return [
		...source.matchAll(
			/^\s*(?:import|export)\b[^"';]*?from\s+"([^"]+)"|^\s*import\s+"([^"]+)"|\bimport\("([^"]+)"\)/gm,
		),
	].map((match) => (match[1] ?? match[2] ?? match[3]) as string);
}
