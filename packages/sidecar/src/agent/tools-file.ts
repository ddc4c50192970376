import type { Action } from "../workspaces/actions.ts";

export interface ToolWorkspace {
	readonly id: string;
	readonly name: string;
	readonly actions: readonly Action[];
}

/**
 * One file of tools a workspace, as OpenCode loads them: `<file>_<export>` is the tool's name. Free of imports, because one
 * that cannot be resolved would disable every tool; JSON and names of tables, which are plain, alone go from the schema into
 * code.
 */
export function toolsFile(workspace: ToolWorkspace): string {
	const tools = workspace.actions.map(
		({ name, description, input }) =>
			`export const ${name} = tool(${literal(name)}, ${literal(`${description} Workspace: ${workspace.name}.`)}, ${literal(input)});\n`,
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

/** Names of files: the workspace's, made plain, and told apart by its id's end. */
export function toolsFileName({ id, name }: Pick<ToolWorkspace, "id" | "name">): string {
	const plain = name
		.normalize("NFKD")
		.replace(/\p{M}+/gu, "")
		.toLowerCase()
		.replace(/[^a-z0-9]+/g, "_")
		.replace(/^_+|_+$/g, "")
		.slice(0, 24);
	return `${plain === "" || /^\d/.test(plain) ? "workspace" : plain}_${id.slice(-4).toLowerCase()}.js`;
}

/** JSON that is safe within a script: U+2028 and U+2029 end a line in some readers. */
function literal(value: unknown): string {
	return JSON.stringify(value).replace(/[\u2028\u2029]/g, (each) => `\\u${each.charCodeAt(0).toString(16)}`);
}
