import type { AnyTextAdapter } from "@tanstack/ai";
import { createAnthropicChat } from "@tanstack/ai-anthropic";
import { createGeminiChat } from "@tanstack/ai-gemini";
import { createOllamaChat } from "@tanstack/ai-ollama";
import { createOpenaiChat, createOpenaiChatCompletions } from "@tanstack/ai-openai";
import type { Provider } from "../providers/provider-table.ts";

/**
 * TanStack AI's adapter for a provider at an origin. Models are not limited to those that its types know. No retries of theirs: what failed is told, and people press retry.
 * @param key null where the provider takes none.
 */
export function adapterFor(provider: Provider, model: string, origin: string, key: string | null): AnyTextAdapter {
	const at = (path: string) => `${origin}/${path}`;
	switch (provider.id) {
		case "anthropic":
			return createAnthropicChat(model as Parameters<typeof createAnthropicChat>[0], key ?? "", {
				baseURL: origin,
				maxRetries: 0,
			});
		case "openai":
			return createOpenaiChat(model as Parameters<typeof createOpenaiChat>[0], key ?? "", {
				baseURL: at("v1"),
				maxRetries: 0,
			});
		case "google":
			return createGeminiChat(model as Parameters<typeof createGeminiChat>[0], key ?? "", { baseURL: origin });
		case "ollama":
			return createOllamaChat(model, origin);
		case "groq":
		case "mistral":
		case "xai":
		case "deepseek":
		case "openrouter": {
			const base = (provider.formats["openai-chat"] as string).replace(/\/?chat\/completions$/, "");
			return createOpenaiChatCompletions(model as Parameters<typeof createOpenaiChatCompletions>[0], key ?? "", {
				baseURL: at(base),
				maxRetries: 0,
			});
		}
	}
}
