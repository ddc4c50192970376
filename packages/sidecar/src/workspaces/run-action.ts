import type { Clock, Identity, Random } from "@warren/kernel";
import type { DocumentHost } from "../document-host.ts";
import { findAction } from "./actions.ts";
import { Workspace } from "./workspace.ts";

export interface ActionDeps {
	readonly documents: DocumentHost;
	readonly clock: Clock;
	readonly random: Random;
}

/** One action of a workspace, on real rows; what it changed is on disk when it returns. */
export async function runAction(
	deps: ActionDeps,
	who: Identity,
	workspaceId: string,
	action: string,
	input: unknown,
): Promise<unknown> {
	const open = await deps.documents.open(who, workspaceId);
	try {
		const { clock, random } = deps;
		const workspace = new Workspace(open.doc, { clock, random, readOnly: open.facts.readOnly });
		const found = findAction(workspace, action);
		const result = found.run(workspace, input);
		if (found.kind === "mutation") await open.flush();
		return result;
	} finally {
		open.close();
	}
}
