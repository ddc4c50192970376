import { type Audit, type Clock, type Closeable, Lifetime, type Logger, type Random } from "@warren/kernel";
import type { Route } from "@warren/net";
import type { Kysely } from "kysely";
import { chatRoutes } from "./chat/chat-routes.ts";
import { ChatRuns } from "./chat/chat-runs.ts";
import type { HubToolSource } from "./chat/hub-tools.ts";
import { KeyFile } from "./keys/key-file.ts";
import { ProviderKeys } from "./keys/provider-keys.ts";
import { ModelLists } from "./providers/model-lists.ts";
import { type OriginOptions, ProviderOrigins } from "./providers/origins.ts";
import { ProviderProxy } from "./proxy/provider-proxy.ts";
import type { AiTables } from "./schema.ts";
import { OllamaSetting } from "./settings/ollama-setting.ts";
import { settingsRoutes } from "./settings/settings-routes.ts";
import type { Upstream } from "./upstream/upstream.ts";
import { Budgets } from "./usage/budgets.ts";
import { OpenStreams } from "./usage/open-streams.ts";
import { UsageLog } from "./usage/usage-log.ts";
import { usageRoutes } from "./usage/usage-routes.ts";

export interface AiDeps {
	/** Tables with `aiSchema`. */
	readonly db: Kysely<AiTables>;
	readonly clock: Clock;
	readonly random: Random;
	readonly logger: Logger;
	readonly audit: Audit;
	/** What chats may do here in a person's name; none unless given. */
	readonly tools?: HubToolSource;
	/** Closed with it. */
	readonly upstream: Upstream;
}

export interface AiOptions extends OriginOptions {
	/** Where `warren keys set` writes; null: keys come from the environment alone. */
	readonly keyFile: string | null;
	/** The providers' key variables as the process was started with: `readKeyVariables`. */
	readonly environmentKeys: ReadonlyMap<string, string>;
	/** The role that answers. */
	readonly owner: string;
}

/** AI of one hub: proxy, chat, keys, usage. */
export interface Ai extends Closeable {
	routes(): Route[];
}

export async function openAi(deps: AiDeps, options: AiOptions): Promise<Ai> {
	const { db, clock, random, logger, audit, tools = async () => [] } = deps;
	const { owner } = options;
	const lifetime = new Lifetime();
	const keys = new ProviderKeys(
		options.keyFile === null ? null : new KeyFile(options.keyFile),
		options.environmentKeys,
	);
	const origins = new ProviderOrigins(options);
	const ollama = new OllamaSetting(db, origins);
	await ollama.load();
	const usage = lifetime.own(new UsageLog(db, clock, logger));
	const budgets = await Budgets.open(db, usage, clock);
	const streams = new OpenStreams();
	const upstream = lifetime.own(deps.upstream);
	const proxy = new ProviderProxy({ clock, upstream, keys, origins, usage, budgets, streams });
	const models = new ModelLists({ clock, logger, upstream, keys, origins });
	const runs = lifetime.own(new ChatRuns(clock));
	return {
		routes: () => [
			...proxy.routes(owner),
			...chatRoutes({ clock, random, logger, upstream, keys, origins, usage, budgets, runs, tools, owner }),
			...usageRoutes({ usage, budgets, audit, owner }),
			...settingsRoutes({ keys, origins, ollama, models, audit, owner }),
		],
		close: () => lifetime.close(),
	};
}
