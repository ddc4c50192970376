import { parseConfig } from "@warren/kernel";
import { z } from "zod";
import type { DataFolder } from "./data-folder.ts";

export const agentFileName = "agent.json";

/** What this machine's coding agent runs beside itself: set here by hand, for here alone. */
const agentSchema = z.strictObject({
	/** MCP servers, each as OpenCode takes it: `{type: "local", command: [...]}` or `{type: "remote", url}`. */
	mcp: z
		.record(z.string().regex(/^[A-Za-z0-9_-]{1,64}$/), z.looseObject({ type: z.enum(["local", "remote"]) }))
		.default({}),
	/** Plugins of this machine's disk: absolute paths. */
	plugins: z.array(z.string().regex(/^(\/|[A-Za-z]:\\)/, "must be an absolute path")).default([]),
});

export type AgentFile = z.infer<typeof agentSchema>;

/** @throws WarrenError `bad_config`. */
export function readAgentFile(data: DataFolder): AgentFile {
	const text = data.read(agentFileName);
	let parsed: unknown = {};
	try {
		if (text !== null) parsed = JSON.parse(text);
	} catch (cause) {
		parsed = `(no JSON: ${(cause as Error).message})`;
	}
	return parseConfig(agentSchema, parsed, agentFileName);
}
