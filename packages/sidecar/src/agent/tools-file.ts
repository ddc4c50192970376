import { createHash } from "node:crypto";
import type { Action } from "../workspaces/actions.ts";

export interface ToolWorkspace {
	readonly id: string;
	readonly name: string;
	readonly actions: readonly Action[];
}

/** Providers refuse a request with a tool whose name is longer. */
const maxToolNameLength = 64;

/**
 * One file of tools a workspace, as OpenCode loads them: `<file>_<export>` is the tool's name. Free of imports, because one
 * that cannot be resolved would disable every tool; JSON and names of tables, which are plain, alone go from the schema into
 * code.
 */
export function toolsFile(workspace: ToolWorkspace, file = toolsFileName(workspace)): string {
	const prefix = `${toolPrefix(file)}_`;
	const tools = [...toolsOf(workspace, file)].map(
		([tool, { name, description, input }]) =>
			`export const ${tool.slice(prefix.length)} = tool(${literal(name)}, ${literal(`${description} Workspace: ${workspace.name}.`)}, ${literal(input)});\n`,
	);
	return `// Made from the workspace's schema; written anew when that changes.
const workspace = ${literal(workspace.id)};
const relay = process.env.WARREN_AGENT_RELAY;
const secret = process.env.WARREN_AGENT_SECRET;

function tool(action, description, input) {
	return {
		description,
		args: { input },
		async execute(args) {
			const answer = await fetch(relay + "/tools/" + workspace + "/" + action, {
				method: "POST",
				headers: { authorization: "Bearer " + secret, "content-type": "application/json" },
				body: JSON.stringify(args.input ?? {}),
			});
			const body = await answer.json();
			if (!answer.ok) throw new Error(body.message);
			return JSON.stringify(body.result);
		},
	};
}

${tools.join("")}`;
}

/** The tools of a workspace by their names, which are cut where they are too long. */
export function toolsOf(workspace: ToolWorkspace, file: string): ReadonlyMap<string, Action> {
	const tools = new Map<string, Action>();
	for (const action of workspace.actions) {
		const whole = `${toolPrefix(file)}_${action.name}`;
		const cut = `${whole.slice(0, maxToolNameLength - 13)}_${digestOf(action.name, 12)}`;
		const name = whole.length <= maxToolNameLength ? whole : cut;
		// Whoever shares a schema may seek two names of one digest: the second would spoil the file.
		if (!tools.has(name)) tools.set(name, action);
	}
	return tools;
}

/** A file for each workspace. Of those that would have the same one, each gets a longer name: an id may be chosen so. */
export function toolsFileNames(workspaces: readonly ToolWorkspace[]): ReadonlyMap<string, ToolWorkspace> {
	const named = Map.groupBy(workspaces, toolsFileName);
	return new Map(
		[...named].flatMap(([file, those]) =>
			those.length === 1
				? those.map((each) => [file, each] as const)
				: those.map((each) => [`${plainName(each)}_${digestOf(each.id, 16)}.js`, each] as const),
		),
	);
}

/** Names of files: the workspace's, made plain, and told apart by its id's end. */
export function toolsFileName(workspace: Pick<ToolWorkspace, "id" | "name">): string {
	return `${plainName(workspace)}_${workspace.id.slice(-4).toLowerCase()}.js`;
}

function toolPrefix(file: string): string {
	return file.replace(/\.js$/, "");
}

function digestOf(text: string, length: number): string {
	return createHash("sha256").update(text).digest("hex").slice(0, length);
}

function plainName({ name }: Pick<ToolWorkspace, "name">): string {
	const plain = name
		.normalize("NFKD")
		.replace(/\p{M}+/gu, "")
		.toLowerCase()
		.replace(/[^a-z0-9]+/g, "_")
		.replace(/^_+|_+$/g, "")
		.slice(0, 24);
	return plain === "" || /^\d/.test(plain) ? "workspace" : plain;
}

/** JSON that is safe within a script: U+2028 and U+2029 end a line in some readers. */
function literal(value: unknown): string {
	return JSON.stringify(value).replace(/[\u2028\u2029]/g, (each) => `\\u${each.charCodeAt(0).toString(16)}`);
}
