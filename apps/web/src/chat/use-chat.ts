import { useEffect, useReducer, useRef } from "react";
import { ApiError } from "../api/exchange.ts";
import { account, hub } from "../api/hub.ts";
import { chatEvents } from "./chat-stream.ts";
import { type Attachment, type Conversation, type ModelChoice, toModelMessages } from "./conversation.ts";
import type { OwnKeys } from "./own-keys.ts";
import { t } from "./text.ts";

interface Run {
	readonly id: string;
	readonly leave: AbortController;
}

/** Asks, and writes what comes into the conversation; one answer at a time. */
export function useChat(conversation: Conversation, id: string, keys: OwnKeys | undefined) {
	const [, render] = useReducer((count: number) => count + 1, 0);
	const run = useRef<Run>(undefined);
	useEffect(() => conversation.watch(render), [conversation]);
	// A page that goes away leaves the hub's run to its grace; what was said until then is kept.
	useEffect(() => () => run.current?.leave.abort(), []);

	async function answer(choice: ModelChoice, workspaces: boolean): Promise<void> {
		const current = { id: crypto.randomUUID(), leave: new AbortController() };
		run.current = current;
		const messages = toModelMessages(conversation.messages());
		const writing = conversation.beginAnswer(choice.model, Date.now());
		let state: "done" | "stopped" | "failed" = "failed";
		let error = "";
		try {
			const body = { ...choice, runId: current.id, threadId: id, messages, workspaces };
			const own = (await keys?.get(choice.provider)) ?? null;
			const token = account.get()?.token ?? "";
			const call = {
				fetch: fetch.bind(globalThis),
				headers: { authorization: `Bearer ${token}`, ...(own === null ? {} : { "x-provider-api-key": own }) },
				signal: current.leave.signal,
				wait: (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms)),
			};
			for await (const event of chatEvents(body, call)) {
				if (event.type === "TEXT_MESSAGE_CONTENT") writing.write(event.delta ?? "");
				else if (event.type === "TOOL_CALL_START") writing.used(event.toolCallName ?? "");
				else if (event.type === "RUN_FINISHED") state = "done";
				else if (event.type === "RUN_ERROR") {
					state = event.code === "cancelled" ? "stopped" : "failed";
					error = event.code === "cancelled" ? "" : (event.message ?? "");
				}
			}
			if (current.leave.signal.aborted) state = "stopped";
		} catch (failure) {
			error = failure instanceof ApiError ? `${failure.message} ${failure.fix}`.trim() : String(failure);
			// The hub's own key is another matter: only its word about the session signs out.
			if (failure instanceof ApiError && failure.status === 401 && failure.code === "unauthorized") {
				error = t.signedOut;
				account.drop(account.get()?.token);
			}
		} finally {
			writing.end(state, error);
			run.current = undefined;
			render();
		}
	}

	return {
		messages: conversation.messages(),
		busy: run.current !== undefined,
		send(text: string, attachments: readonly Attachment[], choice: ModelChoice, workspaces: boolean) {
			conversation.ask(text, attachments, Date.now());
			void answer(choice, workspaces);
		},
		retry(choice: ModelChoice, workspaces: boolean) {
			conversation.dropLastAnswer();
			void answer(choice, workspaces);
		},
		stop() {
			const current = run.current;
			if (current === undefined) return;
			// The hub stops the provider, and says so at the end of the stream; without the hub, leaving is all there is.
			hub.request(`/ai/chat/${current.id}`, { method: "DELETE" }).catch(() => current.leave.abort());
		},
	};
}
