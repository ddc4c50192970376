import type { Identity } from "@warren/kernel";
import { readWorkspaces } from "../agent/plugin-list.ts";
import { toolsFileNames, toolsOf } from "../agent/tools-file.ts";
import { type ActionDeps, runAction } from "./run-action.ts";

/** An action of a workspace as a model is offered it. */
export interface WorkspaceTool {
	readonly name: string;
	readonly description: string;
	/** JSON Schema. */
	readonly input: Record<string, unknown>;
	readonly run: (input: unknown) => Promise<unknown>;
}

/** A tool for each action of each workspace that this person may open, under the names that the coding agent knows too. */
export async function workspaceTools(deps: ActionDeps, who: Identity): Promise<WorkspaceTool[]> {
	const { tools } = await readWorkspaces(deps.documents, who, deps);
	return [...toolsFileNames(tools)].flatMap(([file, workspace]) =>
		[...toolsOf(workspace, file)].map(([tool, { name, description, input }]) => ({
			name: tool,
			description: `${description} Workspace: ${workspace.name}.`,
			input,
			run: (given: unknown) => runAction(deps, who, workspace.id, name, given),
		})),
	);
}
