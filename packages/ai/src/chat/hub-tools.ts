import type { Identity } from "@warren/kernel";
import { messageOf, WarrenError } from "@warren/kernel";

type User = Extract<Identity, { kind: "user" }>;

/** Something that a model may do on the hub in one person's name, when that person's chat says so. */
export interface HubTool {
	/** Letters, digits, underscores and dashes; longer ones than providers take are left out. */
	readonly name: string;
	readonly description: string;
	/** JSON Schema. */
	readonly input: Record<string, unknown>;
	/** @throws WarrenError what the model is told. */
	readonly run: (input: unknown) => Promise<unknown>;
}

/** What a person's chats can be given; wired to workspaces in apps/warren. */
export type HubToolSource = (who: User) => Promise<readonly HubTool[]>;

export const hubToolLimits = {
	/** Turns of the model in one answer. */
	maxSteps: 8,
	/** What OpenAI takes. */
	maxTools: 128,
	maxNameLength: 64,
	maxResultBytes: 64 * 1024,
} as const;

/** As TanStack AI runs them. A tool that fails tells the model why, and the answer goes on. */
export function asServerTools(tools: readonly HubTool[]) {
	return tools
		.filter(({ name }) => name.length <= hubToolLimits.maxNameLength)
		.slice(0, hubToolLimits.maxTools)
		.map(({ name, description, input, run }) => ({
			name,
			description,
			inputSchema: input,
			execute: async (given: unknown) => {
				try {
					return bounded(await run(given));
				} catch (fault) {
					// What is ours to say; a fault of the machine is nothing for a provider to read.
					return { error: fault instanceof WarrenError ? messageOf(fault) : "The tool failed." };
				}
			},
		}));
}

function bounded(result: unknown): unknown {
	const bytes = Buffer.byteLength(JSON.stringify(result ?? null));
	if (bytes <= hubToolLimits.maxResultBytes) return result ?? null;
	return {
		error: `The result has ${bytes} bytes, and a chat takes ${hubToolLimits.maxResultBytes}: ask for less of it.`,
	};
}
