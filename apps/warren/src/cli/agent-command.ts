import { unwatchFile, watchFile } from "node:fs";
import { Forwarder } from "@warren/backbone";
import { defineErrors, type Logger, messageOf } from "@warren/kernel";
import { countBuffersAsHeap } from "@warren/net";
import type { Command } from "commander";
import { Agent, request } from "undici";
import { type AgentRole, openAgents } from "../backbone/agent-role.ts";
import {
	agentSettings,
	forwardSettings,
	parseAgentConfig,
	parseAgentRun,
	parseForwardConfig,
} from "../config/backbone-config.ts";
import { runRole } from "./run-role.ts";
import { withVariables } from "./variables.ts";

const agentError = defineErrors({
	agent_stopped: { status: 500 },
	refused: { status: 400 },
	unreachable: { status: 502, retryable: true },
});
const reloadPollMs = 500;

interface AgentFlags extends Record<string, unknown> {
	readonly config?: string;
	readonly json?: boolean;
	readonly logLevel?: "debug" | "info" | "warn" | "error";
}

export function addAgentCommands(program: Command): void {
	const agent = program
		.command("agent")
		.description("Give a local service its name at a backbone; the token comes from BACKBONE_SERVICE_TOKEN")
		.option("--backbone <url>", "the backbone [BACKBONE_URL]")
		.option("--service <name>", "the service that the token is for")
		.option("--target <host:port>", "where the service listens")
		.option("--config <file>", "many services, JSON; read again when it changes")
		.option("--transport <kind>", "shared unless told; parked, websocket or http2")
		.option("--name <name>", "a name that lasts: a newer agent with it takes over")
		.option("--ca <file>", "CA of the backbone, PEM [BACKBONE_CA]")
		.option("--proxy-protocol", "tell the target who connects (TCP services)")
		.option("--log-level <level>", "debug, info, warn or error")
		.option("--json", "one JSON line when ready, JSON logs");
	withVariables(agent, agentSettings).action((flags: AgentFlags) => runAgent(flags));

	const forwarding = program
		.command("forward <service> <localport>")
		.description(
			"A port of this machine that leads to a TCP or UDP service; the credential comes from BACKBONE_CREDENTIAL",
		)
		.option("--backbone <url>", "the backbone [BACKBONE_URL]")
		.option("--ca <file>", "CA of the backbone, PEM [BACKBONE_CA]")
		.option("--host <address>", "address to listen on, 127.0.0.1 unless told")
		.option("--log-level <level>", "debug, info, warn or error")
		.option("--json", "one JSON line when ready, JSON logs");
	withVariables(forwarding, forwardSettings).action(forward);
}

async function runAgent(flags: AgentFlags): Promise<void> {
	const { file, ...settings } = parseAgentRun(flags, process.env);
	const services = parseAgentConfig(flags, process.env);
	countBuffersAsHeap();
	await runRole("agent", settings, async (deps) => {
		const agents = openAgents(deps, services);
		// Between two tries nothing is open, and our timers hold no process.
		const held = setInterval(() => {}, 60_000);
		// From the start: what keeps it from being ready may be what is corrected.
		if (file !== null) watchConfig(file, deps.logger, () => agents.reload(parseAgentConfig(flags, process.env)));
		return {
			up: agents.settled.then(() => {
				refuseIfStopped(agents);
				void agents.stopped.then(() => {
					deps.logger.error("every service has stopped: nothing is left to do");
					process.exitCode = 1;
					process.kill(process.pid, "SIGTERM");
				});
			}),
			get ready() {
				return {
					services: agents.status().map(({ service, state }) => ({ service, ...state })),
					pid: process.pid,
				};
			},
			get greeting() {
				return agents
					.status()
					.map(({ service, state }) => `${service}  ${state.state === "online" ? state.url : state.state}\n`)
					.join("");
			},
			close: async () => {
				clearInterval(held);
				if (file !== null) unwatchFile(file);
				await agents.close();
			},
		};
	});
}

/** @throws WarrenError `agent_stopped` when nothing is left to do from the start. */
function refuseIfStopped(agents: AgentRole): void {
	const states = agents.status().map(({ state }) => state);
	const [first] = states;
	if (first?.state !== "stopped" || states.some(({ state }) => state !== "stopped")) return;
	throw agentError("agent_stopped", `The backbone refuses this agent: ${first.reason}`, {
		fix: "Check BACKBONE_SERVICE_TOKEN and --service.",
	});
}

function watchConfig(file: string, logger: Logger, reload: () => Promise<void>): void {
	watchFile(file, { interval: reloadPollMs, persistent: false }, () => {
		try {
			reload().catch((fault: unknown) =>
				logger.error("the new configuration could not be taken", { fault: messageOf(fault) }),
			);
			logger.info("configuration read again", { file });
		} catch (fault) {
			logger.error("the new configuration is not usable: the old one stays", { fault: messageOf(fault) });
		}
	});
}

async function forward(service: string, port: string, flags: Record<string, unknown>): Promise<void> {
	const localPort = Number(port);
	if (!Number.isInteger(localPort) || localPort < 0 || localPort > 65535)
		throw agentError("refused", `"${port}" is not a port.`, { fix: "Give a number from 0 to 65535." });
	const { backbone, ca, credential, host, ...run } = parseForwardConfig(flags, process.env);
	await runRole("forward", run, async (deps) => {
		const target = { url: backbone, tls: ca === null ? {} : { ca } };
		const opened = await Forwarder.open(deps, { target, service, credential, host, port: localPort });
		if (!opened.ok && opened.status === null)
			throw agentError("unreachable", `The backbone at ${backbone.origin} cannot be reached: ${opened.message}`, {
				fix: "Check --backbone, and --ca where its certificate is no public authority's.",
			});
		if (!opened.ok) throw agentError("refused", `The backbone does not let you to "${service}": ${opened.message}`);
		const { forwarder } = opened;
		return {
			ready: { service, protocol: forwarder.protocol, port: forwarder.port, pid: process.pid },
			greeting: `${service} is at ${host}:${forwarder.port}${forwarder.protocol === "udp" ? "/udp" : ""}. Stop with Ctrl-C.\n`,
			close: () => forwarder.close(),
		};
	});
}

export interface ServiceWhoamiFlags extends Record<string, unknown> {
	readonly service: string;
}

/** What a service of the backbone would be told about whoever holds BACKBONE_CREDENTIAL. */
export async function whoamiAtService(flags: ServiceWhoamiFlags): Promise<void> {
	const { backbone, ca, credential, json } = parseForwardConfig(flags, process.env);
	const agent = new Agent({ connect: ca === null ? {} : { ca } });
	try {
		const answer = await request(new URL(`/principals/whoami?service=${encodeURIComponent(flags.service)}`, backbone), {
			dispatcher: agent,
			headers: { "x-backbone-principal": credential, accept: "application/json" },
		});
		const body = (await answer.body.json()) as { message?: string; headers?: Record<string, string> };
		if (answer.statusCode !== 200)
			throw agentError("refused", body.message ?? `The backbone answered ${answer.statusCode}.`);
		const lines = Object.entries(body.headers ?? {}).map(([name, value]) => `${name}: ${value}`);
		process.stdout.write(`${json ? JSON.stringify(body) : lines.join("\n")}\n`);
	} finally {
		await agent.close();
	}
}
