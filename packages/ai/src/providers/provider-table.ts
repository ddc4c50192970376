/**
 * How a provider takes its key. `none`: it has no keys, and whatever the caller sent is taken off.
 */
export type ProviderAuth = "bearer" | "x-api-key" | "x-goog-api-key" | "none";

export interface AllowedPath {
	readonly method: "GET" | "POST";
	/** Matched against the vendor's own path, undecoded, without its leading slash. */
	readonly path: RegExp;
}

/** One vendor: where it is, how it takes a key, what of it passes. */
export interface Provider {
	readonly id: ProviderId;
	/** For people. */
	readonly name: string;
	/** Where requests go unless an administrator says otherwise; null = there is no such place (Ollama's is a setting). */
	readonly origin: string | null;
	readonly auth: ProviderAuth;
	/** Environment variable of its key; null where there are no keys. */
	readonly keyVariable: string | null;
	/** Environment variable by which an administrator points it elsewhere. */
	readonly originVariable: string;
	/** What of the vendor's path clients may leave out: `v1/messages` is also found at `messages`. */
	readonly base: string;
	/** Paths that speak one of these formats can stand in for the same one of another provider. */
	readonly formats: Readonly<Partial<Record<WireFormat, string>>>;
	readonly allows: readonly AllowedPath[];
	/** Offered before the vendor's own list is known, and where it cannot be asked. */
	readonly models: readonly string[];
	/** Where its list of models is, and how it looks. */
	readonly modelList: string;
}

export type WireFormat = "openai-chat" | "anthropic-messages";

export const providerIds = [
	"anthropic",
	"openai",
	"google",
	"groq",
	"mistral",
	"xai",
	"deepseek",
	"openrouter",
	"ollama",
] as const;
export type ProviderId = (typeof providerIds)[number];

/** One path segment of a model's name, as vendors write them. */
const model = "[A-Za-z0-9][A-Za-z0-9._:@-]{0,119}";
const get = (path: string): AllowedPath => ({ method: "GET", path: new RegExp(`^${path}$`) });
const post = (path: string): AllowedPath => ({ method: "POST", path: new RegExp(`^${path}$`) });

/** The paths that OpenAI's format has with most vendors. */
function openaiPaths(base: string): AllowedPath[] {
	return [
		post(`${base}chat/completions`),
		post(`${base}completions`),
		post(`${base}responses`),
		post(`${base}embeddings`),
		get(`${base}models`),
		get(`${base}models/${model}(/${model})?`),
	];
}

/** Fixed: a caller never names an origin. Inference and lists of models; no files, batches, keys or administration. */
export const providers: Readonly<Record<ProviderId, Provider>> = {
	anthropic: {
		id: "anthropic",
		name: "Anthropic",
		origin: "https://api.anthropic.com",
		auth: "x-api-key",
		keyVariable: "ANTHROPIC_API_KEY",
		originVariable: "WARREN_ANTHROPIC_ORIGIN",
		base: "v1/",
		formats: { "anthropic-messages": "v1/messages" },
		allows: [post("v1/messages"), post("v1/messages/count_tokens"), get("v1/models"), get(`v1/models/${model}`)],
		models: ["claude-sonnet-4-5", "claude-opus-4-1", "claude-haiku-4-5"],
		modelList: "v1/models?limit=200",
	},
	openai: {
		id: "openai",
		name: "OpenAI",
		origin: "https://api.openai.com",
		auth: "bearer",
		keyVariable: "OPENAI_API_KEY",
		originVariable: "WARREN_OPENAI_ORIGIN",
		base: "v1/",
		formats: { "openai-chat": "v1/chat/completions" },
		allows: [
			...openaiPaths("v1/"),
			post("v1/moderations"),
			post("v1/images/generations"),
			post("v1/audio/(speech|transcriptions|translations)"),
		],
		models: ["gpt-5", "gpt-5-mini", "gpt-4.1"],
		modelList: "v1/models",
	},
	google: {
		id: "google",
		name: "Google",
		origin: "https://generativelanguage.googleapis.com",
		auth: "x-goog-api-key",
		keyVariable: "GOOGLE_API_KEY",
		originVariable: "WARREN_GOOGLE_ORIGIN",
		base: "v1beta/",
		formats: {},
		allows: [
			post(
				`v1(beta)?/models/${model.replace(":", "")}:(generateContent|streamGenerateContent|countTokens|embedContent|batchEmbedContents)`,
			),
			get("v1(beta)?/models"),
			get(`v1(beta)?/models/${model}`),
		],
		models: ["gemini-2.5-pro", "gemini-2.5-flash"],
		modelList: "v1beta/models?pageSize=200",
	},
	groq: {
		id: "groq",
		name: "Groq",
		origin: "https://api.groq.com",
		auth: "bearer",
		keyVariable: "GROQ_API_KEY",
		originVariable: "WARREN_GROQ_ORIGIN",
		base: "openai/v1/",
		formats: { "openai-chat": "openai/v1/chat/completions" },
		allows: [...openaiPaths("openai/v1/"), post("openai/v1/audio/(speech|transcriptions|translations)")],
		models: ["llama-3.3-70b-versatile", "openai/gpt-oss-120b"],
		modelList: "openai/v1/models",
	},
	mistral: {
		id: "mistral",
		name: "Mistral",
		origin: "https://api.mistral.ai",
		auth: "bearer",
		keyVariable: "MISTRAL_API_KEY",
		originVariable: "WARREN_MISTRAL_ORIGIN",
		base: "v1/",
		formats: { "openai-chat": "v1/chat/completions" },
		allows: [...openaiPaths("v1/"), post("v1/fim/completions")],
		models: ["mistral-large-latest", "codestral-latest"],
		modelList: "v1/models",
	},
	xai: {
		id: "xai",
		name: "xAI",
		origin: "https://api.x.ai",
		auth: "bearer",
		keyVariable: "XAI_API_KEY",
		originVariable: "WARREN_XAI_ORIGIN",
		base: "v1/",
		formats: { "openai-chat": "v1/chat/completions" },
		allows: openaiPaths("v1/"),
		models: ["grok-4"],
		modelList: "v1/models",
	},
	deepseek: {
		id: "deepseek",
		name: "DeepSeek",
		origin: "https://api.deepseek.com",
		auth: "bearer",
		keyVariable: "DEEPSEEK_API_KEY",
		originVariable: "WARREN_DEEPSEEK_ORIGIN",
		base: "",
		formats: { "openai-chat": "chat/completions" },
		allows: [...openaiPaths("(v1/)?"), post("beta/completions")],
		models: ["deepseek-chat", "deepseek-reasoner"],
		modelList: "models",
	},
	openrouter: {
		id: "openrouter",
		name: "OpenRouter",
		origin: "https://openrouter.ai",
		auth: "bearer",
		keyVariable: "OPENROUTER_API_KEY",
		originVariable: "WARREN_OPENROUTER_ORIGIN",
		base: "api/v1/",
		formats: { "openai-chat": "api/v1/chat/completions" },
		allows: openaiPaths("api/v1/"),
		models: ["openrouter/auto"],
		modelList: "api/v1/models",
	},
	ollama: {
		id: "ollama",
		name: "Ollama",
		origin: null,
		auth: "none",
		keyVariable: null,
		originVariable: "OLLAMA_HOST",
		base: "",
		formats: { "openai-chat": "v1/chat/completions" },
		allows: [post("api/(chat|generate|embed|embeddings|show)"), get("api/(tags|ps|version)"), ...openaiPaths("v1/")],
		models: [],
		modelList: "api/tags",
	},
};

export function isProviderId(text: string): text is ProviderId {
	return (providerIds as readonly string[]).includes(text);
}
