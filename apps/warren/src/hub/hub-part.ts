import { memberCredentials } from "@warren/access";
import { verifyTicket } from "@warren/accounts";
import { auditAs, messageOf, type PeerSource, type UserId } from "@warren/kernel";
import { agentRoutes } from "@warren/sidecar";
import { DiscoveryView, OwnPresence, type SyncRelay } from "@warren/sync";
import { BackboneBeside } from "../backbone/backbone-beside.ts";
import type { NodeConfig } from "../config/node-config.ts";
import { localHost } from "../config/server-config.ts";
import type { NodeBase, OpenPart, RolePart } from "../node/role-part.ts";
import { openCodingAgents } from "../sidecar/coding-agents.ts";
import { advertised, candidateOf } from "../sidecar/hub-sync.ts";
import { openSidecar } from "../sidecar/sidecar-listener.ts";
import type { Processes } from "../supervisor/supervised-role.ts";
import { MachineTunnels } from "../tunnel/machine-tunnels.ts";
import { tunnelRoutes } from "../tunnel/tunnel-routes.ts";
import { version } from "../version.ts";
import { openHubServices, openHubTables } from "./hub-services.ts";
import type { MachineRemovals } from "./machine-removals.ts";
import { NodeTickets } from "./node-tickets.ts";
import { OwnMachine } from "./own-machine.ts";
import { reachedAt } from "./reached-at.ts";

/** Accounts of people, joining machines, documents and device tickets, beside the node that this hub runs on. */
export function hubPart(processes: Processes | null, removals: MachineRemovals): OpenPart {
	return (base, config) => openHubPart(base, config, processes, removals);
}

async function openHubPart(
	node: NodeBase,
	config: NodeConfig,
	processes: Processes | null,
	removals: MachineRemovals,
): Promise<RolePart> {
	const base = { ...node, audit: auditAs(node.audit, "hub") };
	const { clock, random, logger, lifetime, authority, urls, hosts, port, nodeId } = base;
	const hub = await openHubServices(base, await openHubTables(base), {
		...{ authority, urls, hosts, port, workspaces: config.workspaces, ai: config.ai, name: config.name },
		social: config.social,
		fingerprint: () => base.shown.fingerprint,
		installId: nodeId,
		setup: base.hubSetup,
	});
	const { accounts, documents } = hub;
	lifetime.own(
		await OwnMachine.open({ clock, logger, register: (facts) => accounts.registerHub(nodeId, facts) }, () => ({
			...{ name: config.name, hosts: hosts(), port, version },
		})),
	);
	const tunnels = lifetime.own(new MachineTunnels({ ...base, backbone: new BackboneBeside(base, config, processes) }));
	lifetime.own(
		accounts.machines.watch((change) => {
			base.feed.publish({ type: "peers" });
			if (change.type !== "machine-removed") return;
			removals.tell(change.nodeId);
			tunnels
				.forget(change.nodeId)
				.catch((fault: unknown) => logger.warn("a removed machine's tunnel stays", { fault: messageOf(fault) }));
		}),
	);
	// The hub is on this very machine: its windows get the hub's own documents, on the sidecar's address.
	const agents = openCodingAgents(base, documents, {
		hub: ownHub(base, config),
		sessions: accounts.authenticator,
		mayRun: (user) => user.admin,
		command: config.opencode,
	});
	const audit = auditAs(node.audit, "sidecar");
	const routes = agentRoutes(agents, { owner: "sidecar", credentials: ["session"], audit });
	await openSidecar(
		{ ...node, audit },
		{ port: config.sidecarPort, origins: urls, routes },
		accounts.authenticator,
		documents,
	);
	lifetime.defer(documents.relay.watchPresence(() => base.feed.publish({ type: "peers" })));
	const machine = { deviceId: nodeId, hostname: config.name };
	lifetime.own(
		new OwnPresence({
			...{ relay: documents.relay, clock, random },
			user: async () => ((await accounts.ownerId()) || null) as UserId | null,
			state: () => advertised({ ...machine, url: reachedAt(base) }),
		}).start(),
	);
	const tickets = new NodeTickets(base);
	return {
		name: "hub",
		routes: [
			...hub.routes,
			...tunnelRoutes(tunnels),
			...agentRoutes(agents, { owner: "sidecar", credentials: memberCredentials, audit }),
			...tickets.routes(async (ticket) =>
				verifyTicket(ticket, [accounts.ticketKey], await accounts.revokedTickets(), clock.now(), nodeId),
			),
		],
		authenticators: [accounts.authenticator],
		peerSources: [accounts.machines, presentNodes(documents.relay, accounts.ownerId, nodeId)],
		tunnel: tunnels,
		cookieName: accounts.sessionCookieName,
		listening: (listener) => {
			hub.listening(listener);
			const end = () => void accounts.revokedTickets().then((ids) => tickets.end([...ids]));
			lifetime.own(accounts.onTicketsRevoked(end));
			// Revoked, and this process ended before it came to that.
			end();
		},
		hasOwner: () => accounts.hasOwner(),
		drain: hub.drain,
	};
}

/** Nodes that are present in their owner's discovery room, for the machine that the hub itself runs on. */
function presentNodes(relay: SyncRelay, ownerId: () => Promise<string>, self: string): PeerSource {
	const view = new DiscoveryView(relay);
	return {
		name: "discovery",
		candidates: async () => ({
			candidates: view
				.devices((await ownerId()) as UserId)
				.filter((device) => device.deviceId !== self)
				.flatMap(candidateOf),
			errors: [],
		}),
	};
}

/** The hub beside this agent, over loopback where it listens there. */
function ownHub({ port, authority, urls }: NodeBase, { host }: NodeConfig) {
	const name = localHost(host);
	const { protocol } = new URL(urls[0] as string);
	return {
		url: `${protocol}//${name}:${port}`,
		ca: authority?.certPem ?? null,
		loopback: name === "localhost",
	};
}
