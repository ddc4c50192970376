import { type AgentState, agentWindows, ServiceAgent, type ServiceAgentOptions } from "@warren/backbone";
import type { RoleDeps } from "../cli/run-role.ts";
import type { AgentServiceConfig } from "../config/backbone-config.ts";
import { lookupOwn } from "../config/own-lookup.ts";

export interface AgentRole {
	/** Resolves when every service is online or has stopped. */
	readonly settled: Promise<void>;
	status(): { service: string; state: AgentState }[];
	/** Takes a new list: what stays goes on without a drop, what is new starts, what is gone finishes. */
	reload(services: readonly AgentServiceConfig[]): Promise<void>;
	/** Resolves when every agent has stopped for good: refused, or replaced. */
	readonly stopped: Promise<void>;
	close(): Promise<void>;
}

/**
 * Agents for a list of services, in one process.
 * @param onChange told when an agent's state may have changed.
 */
export function openAgents(
	deps: RoleDeps,
	services: readonly AgentServiceConfig[],
	onChange: () => void = () => {},
): AgentRole {
	const windows = agentWindows();
	const agents = new Map<string, { config: AgentServiceConfig; agent: ServiceAgent }>();
	let settle = () => {};
	const settled = new Promise<void>((resolve) => (settle = resolve));
	let stop = () => {};
	const stopped = new Promise<void>((resolve) => (stop = resolve));
	const look = () => {
		const states = [...agents.values()].map(({ agent }) => agent.status.state);
		if (states.every((state) => state !== "connecting")) settle();
		if (states.every((state) => state === "stopped")) stop();
	};
	const changed = (agent: ServiceAgent) => {
		const { status } = agent;
		if (status.state === "online") deps.logger.info("online", { service: agent.service, url: status.url });
		look();
		onChange();
	};
	const start = (key: string, config: AgentServiceConfig) => {
		const agent = new ServiceAgent({ ...deps, changed, windows }, optionsOf(config));
		agents.set(key, { config, agent });
		agent.start();
	};
	for (const config of services) start(keyOf(config), config);
	return {
		settled,
		stopped,
		status: () => [...agents.values()].map(({ agent }) => ({ service: agent.service, state: agent.status })),
		async reload(next) {
			const due = new Map(next.map((config) => [keyOf(config), config]));
			const leaving = [...agents].filter(([key]) => !due.has(key));
			for (const [key] of leaving) agents.delete(key);
			for (const [key, config] of due) {
				const standing = agents.get(key);
				if (standing === undefined) start(key, config);
				else if (JSON.stringify(targetOf(config)) !== JSON.stringify(targetOf(standing.config))) {
					standing.agent.retarget(targetOf(config));
					agents.set(key, { config, agent: standing.agent });
				}
			}
			// Those that are left may be as they are due.
			look();
			await Promise.all(leaving.map(([, { agent }]) => agent.close()));
		},
		async close() {
			await Promise.all([...agents.values()].map(({ agent }) => agent.close()));
		},
	};
}

/** Anything of it that changes makes another agent; the target alone may change under one that runs. */
function keyOf(config: AgentServiceConfig): string {
	const { backbone, ca, service, token, transport, name, links } = config;
	return JSON.stringify([backbone.href, ca, service, token, transport, name, links]);
}

function targetOf(config: AgentServiceConfig) {
	return { ...config.target, proxyProtocol: config.proxyProtocol };
}

function optionsOf(config: AgentServiceConfig): ServiceAgentOptions {
	return {
		url: config.backbone,
		tls: {
			...(config.ca === null ? {} : { ca: config.ca }),
			...(config.backbone.hostname === "localhost" ? { lookup: lookupOwn } : {}),
		},
		transport: config.transport,
		service: config.service,
		token: config.token,
		name: config.name,
		target: targetOf(config),
		...(config.links === undefined ? {} : { spareLinks: config.links }),
	};
}
