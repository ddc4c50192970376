import { type Clock, type Identity, type Random, WarrenError } from "@warren/kernel";
import type { DocumentHost, OpenDocument } from "../document-host.ts";
import { actionsOf } from "../workspaces/actions.ts";
import { Workspace } from "../workspaces/workspace.ts";
import type { ToolWorkspace } from "./tools-file.ts";

/** The table whose rows name the plugins of every device: `package`, and `version` and `enabled` where there are such columns. */
export const pluginTable = "opencode_plugins";
const maxPlugins = 50;
const maxToolWorkspaces = 20;
/** A package of the registry with a version or a tag; no path, no address, no option of npm's. */
const packagePattern = /^(@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~-][a-z0-9._~-]*$/;
const versionPattern = /^[A-Za-z0-9][A-Za-z0-9._+~^-]{0,63}$/;

export interface AgentWorkspaces {
	readonly tools: readonly ToolWorkspace[];
	readonly plugins: readonly string[];
}

/** What a person's workspaces give their agent: a tool an action, and the plugins of the synced list. */
export async function readWorkspaces(
	documents: DocumentHost,
	who: Identity,
	deps: { readonly clock: Clock; readonly random: Random },
): Promise<AgentWorkspaces> {
	const tools: ToolWorkspace[] = [];
	const plugins = new Set<string>();
	for (const facts of (await documents.list(who, "workspace")).slice(0, maxToolWorkspaces)) {
		const open = await openedOrNull(documents, who, facts.id);
		if (open === null) continue;
		try {
			const workspace = new Workspace(open.doc, { ...deps, readOnly: facts.readOnly });
			const actions = actionsOf(workspace).filter((action) => action.kind === "query" || !facts.readOnly);
			if (actions.length > 0) tools.push({ id: facts.id, name: facts.name, actions });
			// A list that others may write is theirs to run programs with: the person's own alone counts.
			if (!facts.readOnly) for (const spec of pluginsOf(workspace)) plugins.add(spec);
		} finally {
			open.close();
		}
	}
	return { tools, plugins: [...plugins].sort().slice(0, maxPlugins) };
}

/** Null for one that was deleted, taken away or cannot be read: the others' tools are there all the same. */
async function openedOrNull(documents: DocumentHost, who: Identity, id: string): Promise<OpenDocument | null> {
	try {
		return await documents.open(who, id);
	} catch (fault) {
		if (fault instanceof WarrenError && !fault.retryable) return null;
		throw fault;
	}
}

function pluginsOf(workspace: Workspace): string[] {
	if (workspace.tables()[pluginTable] === undefined) return [];
	const { rows } = workspace.rows(pluginTable, { limit: maxPlugins, filter: {} });
	return rows.flatMap((row) => {
		const name = row["package"];
		const version = row["version"];
		if (typeof name !== "string" || !packagePattern.test(name) || row["enabled"] === false) return [];
		if (version === undefined || version === null || version === "") return [name];
		return typeof version === "string" && versionPattern.test(version) ? [`${name}@${version}`] : [];
	});
}
