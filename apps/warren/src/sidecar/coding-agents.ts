import { pathToFileURL } from "node:url";
import type { Authenticator, Identity } from "@warren/kernel";
import { CodingAgents } from "@warren/sidecar";
import { readAgentFile } from "../config/agent-file.ts";
import type { RoleBase } from "../role-base.ts";
import { syncDocumentHost } from "./document-host.ts";
import type { SidecarDocuments } from "./sidecar-listener.ts";

/** The coding agents of this machine: their models at the hub, their tools on these documents. */
export function openCodingAgents(
	base: RoleBase,
	documents: SidecarDocuments,
	options: {
		readonly hub: { readonly url: string; readonly ca: string | null; readonly loopback?: boolean };
		readonly sessions: Authenticator;
		readonly mayRun: (user: Extract<Identity, { kind: "user" }>) => boolean;
		/** WARREN_OPENCODE. */
		readonly command: string | undefined;
	},
): CodingAgents {
	const { clock, random, logger, data, lifetime } = base;
	const file = readAgentFile(data);
	return lifetime.own(
		new CodingAgents(
			{ clock, random, logger, documents: syncDocumentHost({ ...documents, clock, random }) },
			{
				...options,
				folder: data.file("agents"),
				environment: process.env,
				command: options.command ?? null,
				mcp: file.mcp,
				localPlugins: file.plugins.map((path) => pathToFileURL(path).href),
			},
		),
	);
}
