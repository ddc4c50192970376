/** What a fake provider says, in each vendor's own format. Built after the vendors' public references. */
export interface Said {
	readonly model: string;
	readonly text: string;
	/** A tool that the model wants called, instead of text. */
	readonly tool?: { readonly name: string; readonly input: unknown };
	readonly inputTokens: number;
	readonly outputTokens: number;
}

export type Format = "openai-chat" | "openai-responses" | "anthropic" | "gemini" | "ollama";

/** One answer that is not streamed. */
export function whole(format: Format, said: Said): unknown {
	const { model, text, tool, inputTokens, outputTokens } = said;
	switch (format) {
		case "openai-chat":
			return {
				id: "chatcmpl-1",
				object: "chat.completion",
				created: 1,
				model,
				choices: [
					{
						index: 0,
						message: {
							role: "assistant",
							content: tool === undefined ? text : null,
							...(tool === undefined
								? {}
								: {
										tool_calls: [
											{
												id: "call_1",
												type: "function",
												function: { name: tool.name, arguments: JSON.stringify(tool.input) },
											},
										],
									}),
						},
						finish_reason: tool === undefined ? "stop" : "tool_calls",
					},
				],
				usage: {
					prompt_tokens: inputTokens,
					completion_tokens: outputTokens,
					total_tokens: inputTokens + outputTokens,
				},
			};
		case "openai-responses":
			return responseObject(said, "completed");
		case "anthropic":
			return {
				id: "msg_1",
				type: "message",
				role: "assistant",
				model,
				content: [
					tool === undefined
						? { type: "text", text }
						: { type: "tool_use", id: "toolu_1", name: tool.name, input: tool.input },
				],
				stop_reason: tool === undefined ? "end_turn" : "tool_use",
				stop_sequence: null,
				usage: { input_tokens: inputTokens, output_tokens: outputTokens, cache_read_input_tokens: 3 },
			};
		case "gemini":
			return geminiChunk(said, text, true);
		case "ollama":
			return {
				...ollamaChunk(said, text),
				done: true,
				done_reason: "stop",
				prompt_eval_count: inputTokens,
				eval_count: outputTokens,
			};
	}
}

/** The same as a stream, one string a write. */
export function streamed(format: Format, said: Said, includeUsage: boolean): string[] {
	const { model, tool, inputTokens, outputTokens } = said;
	const words = said.text.match(/\s*\S+\s*/g) ?? [said.text];
	const data = (value: unknown) => `data: ${JSON.stringify(value)}\n\n`;
	const event = (value: { type: string }) => `event: ${value.type}\ndata: ${JSON.stringify(value)}\n\n`;
	switch (format) {
		case "openai-chat": {
			const chunk = (delta: unknown, finish: string | null = null) =>
				data({
					id: "chatcmpl-1",
					object: "chat.completion.chunk",
					created: 1,
					model,
					choices: [{ index: 0, delta, finish_reason: finish }],
				});
			return [
				chunk({ role: "assistant", content: tool === undefined ? "" : null }),
				...(tool === undefined
					? words.map((word) => chunk({ content: word }))
					: [
							chunk({
								tool_calls: [
									{
										index: 0,
										id: "call_1",
										type: "function",
										function: { name: tool.name, arguments: JSON.stringify(tool.input) },
									},
								],
							}),
						]),
				chunk({}, tool === undefined ? "stop" : "tool_calls"),
				...(includeUsage
					? [
							data({
								id: "chatcmpl-1",
								object: "chat.completion.chunk",
								created: 1,
								model,
								choices: [],
								usage: {
									prompt_tokens: inputTokens,
									completion_tokens: outputTokens,
									total_tokens: inputTokens + outputTokens,
								},
							}),
						]
					: []),
				"data: [DONE]\n\n",
			];
		}
		case "openai-responses":
			return responseEvents(said, words).map(event);
		case "anthropic":
			return [
				event({
					type: "message_start",
					message: {
						id: "msg_1",
						type: "message",
						role: "assistant",
						model,
						content: [],
						stop_reason: null,
						stop_sequence: null,
						usage: { input_tokens: inputTokens, output_tokens: 1, cache_read_input_tokens: 3 },
					},
				} as never),
				event({
					type: "content_block_start",
					index: 0,
					content_block:
						tool === undefined
							? { type: "text", text: "" }
							: { type: "tool_use", id: "toolu_1", name: tool.name, input: {} },
				} as never),
				...(tool === undefined
					? words.map((word) =>
							event({ type: "content_block_delta", index: 0, delta: { type: "text_delta", text: word } } as never),
						)
					: [
							event({
								type: "content_block_delta",
								index: 0,
								delta: { type: "input_json_delta", partial_json: JSON.stringify(tool.input) },
							} as never),
						]),
				event({ type: "content_block_stop", index: 0 } as never),
				event({
					type: "message_delta",
					delta: { stop_reason: tool === undefined ? "end_turn" : "tool_use", stop_sequence: null },
					usage: { input_tokens: inputTokens, cache_read_input_tokens: 3, output_tokens: outputTokens },
				} as never),
				event({ type: "message_stop" }),
			];
		case "gemini":
			return words.map((word, index) => data(geminiChunk(said, word, index === words.length - 1)));
		case "ollama":
			// A call comes once, whole; the last line has the counts alone.
			return [
				...(tool === undefined ? words : [""]).map(
					(word) => `${JSON.stringify({ ...ollamaChunk(said, word), done: false })}\n`,
				),
				`${JSON.stringify({
					...ollamaChunk(withoutTool(said), ""),
					done: true,
					done_reason: "stop",
					prompt_eval_count: inputTokens,
					eval_count: outputTokens,
				})}\n`,
			];
	}
}

function geminiChunk(said: Said, text: string, last: boolean) {
	const part =
		said.tool === undefined
			? { text }
			: { functionCall: { name: said.tool.name, args: said.tool.input, id: "call_1" } };
	return {
		candidates: [{ index: 0, content: { role: "model", parts: [part] }, ...(last ? { finishReason: "STOP" } : {}) }],
		usageMetadata: {
			promptTokenCount: said.inputTokens,
			candidatesTokenCount: last ? said.outputTokens : 1,
			totalTokenCount: said.inputTokens + said.outputTokens,
		},
		modelVersion: said.model,
		responseId: "r1",
	};
}

function withoutTool({ model, text, inputTokens, outputTokens }: Said): Said {
	return { model, text, inputTokens, outputTokens };
}

function ollamaChunk(said: Said, text: string) {
	return {
		model: said.model,
		created_at: "2026-01-01T00:00:00Z",
		message: {
			role: "assistant",
			content: said.tool === undefined ? text : "",
			...(said.tool === undefined
				? {}
				: { tool_calls: [{ function: { name: said.tool.name, arguments: said.tool.input } }] }),
		},
	};
}

function responseObject(said: Said, status: "in_progress" | "completed") {
	const done = status === "completed";
	return {
		id: "resp_1",
		object: "response",
		created_at: 1,
		status,
		model: said.model,
		output: done ? [outputItem(said)] : [],
		parallel_tool_calls: true,
		tool_choice: "auto",
		tools: [],
		incomplete_details: null,
		error: null,
		usage: done
			? {
					input_tokens: said.inputTokens,
					input_tokens_details: { cached_tokens: 2 },
					output_tokens: said.outputTokens,
					output_tokens_details: { reasoning_tokens: 0 },
					total_tokens: said.inputTokens + said.outputTokens,
				}
			: null,
	};
}

function outputItem({ text, tool }: Said) {
	return tool === undefined
		? {
				id: "item_1",
				type: "message",
				role: "assistant",
				status: "completed",
				content: [{ type: "output_text", text, annotations: [] }],
			}
		: {
				id: "item_1",
				type: "function_call",
				call_id: "call_1",
				name: tool.name,
				arguments: JSON.stringify(tool.input),
				status: "completed",
			};
}

function responseEvents(said: Said, words: readonly string[]): { type: string }[] {
	const { tool, text } = said;
	const at = { item_id: "item_1", output_index: 0 };
	const events: { type: string }[] = [
		{ type: "response.created", response: responseObject(said, "in_progress") } as never,
	];
	if (tool === undefined) {
		const item = { id: "item_1", type: "message", role: "assistant", status: "in_progress", content: [] };
		const part = { type: "output_text", text: "", annotations: [] };
		events.push(
			{ type: "response.output_item.added", output_index: 0, item } as never,
			{ type: "response.content_part.added", ...at, content_index: 0, part } as never,
			...words.map(
				(delta) => ({ type: "response.output_text.delta", ...at, content_index: 0, delta, logprobs: [] }) as never,
			),
			{ type: "response.output_text.done", ...at, content_index: 0, text, logprobs: [] } as never,
			{ type: "response.content_part.done", ...at, content_index: 0, part: { ...part, text } } as never,
		);
	} else {
		const json = JSON.stringify(tool.input);
		const item = { id: "item_1", type: "function_call", call_id: "call_1", name: tool.name, arguments: "" };
		events.push(
			{ type: "response.output_item.added", output_index: 0, item } as never,
			{ type: "response.function_call_arguments.delta", ...at, delta: json } as never,
			{ type: "response.function_call_arguments.done", ...at, arguments: json, name: tool.name } as never,
		);
	}
	events.push(
		{ type: "response.output_item.done", output_index: 0, item: outputItem(said) } as never,
		{ type: "response.completed", response: responseObject(said, "completed") } as never,
	);
	return events.map((each, index) => ({ ...each, sequence_number: index }));
}
