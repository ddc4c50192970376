import type { IncomingHttpHeaders } from "node:http";
import type { chatParamsFromRequestBody } from "@tanstack/ai";
import { messageOf, newId, type Random } from "@warren/kernel";
import { z } from "zod";
import { aiError } from "../errors.ts";
import { providerOf } from "../providers/provider-path.ts";
import type { Provider } from "../providers/provider-table.ts";

export type ChatParams = Awaited<ReturnType<typeof chatParamsFromRequestBody>>;

/** What a chat asks for. */
export interface ChatRequest {
	readonly provider: Provider;
	readonly model: string;
	readonly systemPrompts: readonly string[];
	readonly params: ChatParams;
	/** Whether the model gets the hub's tools: the person's workspaces. */
	readonly workspaces: boolean;
}

const idPattern = /^[A-Za-z0-9._~-]{1,128}$/;
const choice = z.object({
	provider: z.string().max(60),
	model: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._:@/-]{0,159}$/, "is no model's name"),
	system: z.union([z.string().max(100_000), z.array(z.string().max(100_000)).max(16)]).optional(),
	systemPrompts: z.array(z.string().max(100_000)).max(16).optional(),
	workspaces: z.boolean().default(false),
});

/**
 * Reads the body of `POST /ai/chat`: AG-UI's RunAgentInput with provider and model in `forwardedProps`, or the same two
 * beside `messages` at the top (then what AG-UI needs beside them is filled in).
 * @throws WarrenError `bad_chat`, `unknown_provider`.
 */
export async function parseChat(body: unknown, headers: IncomingHttpHeaders, random: Random): Promise<ChatRequest> {
	if (typeof body !== "object" || body === null || Array.isArray(body))
		throw aiError("bad_chat", "The body must be a JSON object with messages, provider and model.");
	const given = body as Record<string, unknown>;
	const props = { ...recordOf(given["data"]), ...recordOf(given["forwardedProps"]) };
	const chosen = choice.safeParse({ ...pick(given), ...pick(props) });
	if (!chosen.success) {
		const issue = chosen.error.issues[0];
		throw aiError("bad_chat", `${issue?.path.join(".") ?? "body"}: ${issue?.message}.`, {
			fix: "Send provider and model, at the top of the body or in forwardedProps.",
		});
	}
	const { provider, model, system, systemPrompts, workspaces } = chosen.data;
	let params: ChatParams;
	try {
		const library = await import("@tanstack/ai");
		params = await library.chatParamsFromRequestBody({
			threadId: newId(random),
			runId: headers["x-run-id"] ?? newId(random),
			state: {},
			tools: [],
			context: [],
			forwardedProps: {},
			...given,
			messages: asMessages(given["messages"], random),
		});
	} catch (refused) {
		throw aiError("bad_chat", `The conversation cannot be read: ${messageOf(refused).slice(0, 300)}`);
	}
	if (!idPattern.test(params.runId))
		throw aiError("bad_chat", "runId: takes 1 to 128 letters, digits, dots, dashes, tildes and underscores.");
	return {
		provider: providerOf(provider),
		model,
		systemPrompts: [...(system === undefined ? [] : [system].flat()), ...(systemPrompts ?? [])],
		params,
		workspaces,
	};
}

/** Plain `{role, content}` gets the id that AG-UI wants. */
function asMessages(messages: unknown, random: Random): unknown {
	if (!Array.isArray(messages) || messages.length === 0)
		throw new Error("messages must be a list with at least one message.");
	return messages.map((each: unknown) =>
		typeof each === "object" && each !== null ? { id: newId(random), ...each } : each,
	);
}

function pick(from: Record<string, unknown>): Record<string, unknown> {
	return Object.fromEntries(
		["provider", "model", "system", "systemPrompts", "workspaces"]
			.filter((name) => from[name] !== undefined)
			.map((name) => [name, from[name]]),
	);
}

function recordOf(value: unknown): Record<string, unknown> {
	return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}
