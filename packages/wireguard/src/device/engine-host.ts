import {
	type Clock,
	type OverlayPeer,
	type OverlayPeerStatus,
	type Random,
	type UdpEndpoint,
	unreachable,
} from "@warren/kernel";
import { nodePrimitives } from "../crypto/node-primitives.ts";
import { nodeTransportKeys } from "../crypto/node-transport-key.ts";
import { type Openssl, openOpenssl } from "../crypto/openssl.ts";
import { newArena } from "../engine/arena.ts";
import { Engine } from "../engine/engine.ts";
import type { UdpIo } from "../engine/packet-io.ts";
import { type Libc, openLibc } from "../linux/libc.ts";
import { OffloadSocket } from "../linux/offload-socket.ts";
import { Tun } from "../linux/tun.ts";
import { DgramSocket } from "../portable/dgram-socket.ts";
import { formatCidr, interfaceAddress, parseCidr } from "../protocol/cidr.ts";
import { type Endpoint, endpointOf } from "../protocol/endpoint.ts";
import type { Peer } from "../protocol/peer.ts";
import { Timestamps } from "../protocol/timestamps.ts";
import { Allowance } from "./allowance.ts";
import { ChangeReports } from "./change-reports.ts";
import type { Command, EngineOptions, Report } from "./commands.ts";
import { KeptStamps, TimestampStore } from "./timestamp-store.ts";

export interface EngineHostDeps {
	readonly clock: Clock;
	readonly random: Random;
	readonly report: (report: Report) => void;
	/** The system's own unless told. */
	readonly libc?: Libc;
}

export interface EngineHost {
	command(command: Command): void;
	close(): void;
}

interface Socket extends UdpIo {
	readonly sendErrors: number;
	close(): void;
}

/**
 * Opens an engine with its descriptors, in a worker or in the caller's own thread, and reports `ready`.
 * @throws SystemCallError when the host refuses the TUN or the port.
 */
export async function openEngineHost(deps: EngineHostDeps, options: EngineOptions): Promise<EngineHost> {
	const libc = deps.libc ?? openLibc();
	const arena = newArena();
	const isOffload = options.dataPlane === "offload";
	const store = options.timestampFile === null ? null : new TimestampStore(options.timestampFile);
	const kept = new KeptStamps(store, (refused) => deps.report({ is: "stamps", refused }));
	const timestamps = new Timestamps(store?.read() ?? { seconds: 0, nanos: 0 }, (until) => kept.write(until));
	const addresses = options.addresses.map((each) => interfaceAddress(each));
	const tun = new Tun(libc, arena, {
		name: options.interfaceName,
		mtu: options.mtu,
		addresses,
		offload: isOffload,
	});
	const lost = (errno: number) =>
		deps.report({
			is: "fallback",
			reason: `The path does not take segmented sends (error ${errno}); sending one by one.`,
		});
	let udp: Socket;
	try {
		udp = isOffload
			? new OffloadSocket(libc, arena, { port: options.listenPort, offload: true }, lost)
			: await DgramSocket.open(arena, options.listenPort);
	} catch (failure) {
		tun.close();
		throw failure;
	}
	const allowance = new Allowance();
	const changes = new ChangeReports((publicKey) => deps.report({ is: "peerChange", publicKey }));
	const openssl = isOffload ? openOpenssl() : opensslIfThere();
	const engine = new Engine(
		{
			p: openssl?.primitives ?? nodePrimitives,
			makeKey: (openssl?.transportKeys ?? nodeTransportKeys)(arena.bytes),
			random: deps.random,
			clock: deps.clock,
			timestamps,
			arena,
			tun,
			udp,
			events: {
				datagram: (bytes, from) => {
					if (allowance.claim(bytes.length)) deps.report({ is: "datagram", bytes, from: plain(from) });
				},
				relay: (publicKey, bytes, urgent) => {
					if (allowance.claim(bytes.length)) deps.report({ is: "relay", publicKey, bytes, urgent });
				},
				peerChange: (publicKey) => changes.changed(publicKey),
			},
		},
		options.privateKey,
	);
	const gone = () => deps.report({ is: "lost", reason: `somebody removed the interface ${tun.name}` });
	feed(engine, tun, udp, gone);
	deps.report({
		is: "ready",
		listenPort: udp.port,
		publicKey: Uint8Array.from(engine.device.publicKey),
		dataPlane: options.dataPlane,
		fallback: isOffload ? refusedOffloads(tun, udp as OffloadSocket) : null,
	});
	let isClosed = false;
	const close = () => {
		if (isClosed) return;
		isClosed = true;
		engine.close();
		tun.close();
		udp.close();
		kept.write(timestamps.last);
	};
	return {
		close,
		command(command) {
			if (isClosed) return;
			if (command.do === "close") close();
			else if (command.do === "taken") allowance.free(command.bytes);
			else if (command.do === "changeTaken") changes.taken(command.publicKey);
			else if (command.do === "status")
				deps.report({
					is: "status",
					id: command.id,
					peers: [...engine.device.peers].map((peer) => statusOf(engine, peer)),
					counters: {
						...engine.device.refusals,
						dropped: engine.droppedPackets,
						sendErrors: udp.sendErrors,
						tunErrors: tun.writeErrors,
						reportsDropped: allowance.dropped,
					},
				});
			else {
				obey(engine, command, udp, options.mtu);
				const lot = "bytes" in command && typeof command.bytes !== "number" ? allowance.take(command.bytes.length) : 0;
				if (lot > 0) deps.report({ is: "taken", bytes: lot });
			}
		},
	};
}

/** A node binary may keep its OpenSSL to itself: node:crypto does the same, at three times the cost a packet. */
function opensslIfThere(): Openssl | null {
	try {
		return openOpenssl();
	} catch {
		return null;
	}
}

function feed(engine: Engine, tun: Tun, udp: Socket, lost: () => void): void {
	tun.start(
		(at, length) => engine.outbound(at, length),
		() => engine.turn(),
		lost,
	);
	if (udp instanceof OffloadSocket)
		udp.start(
			(at, bytes, segment, from) => engine.inbound(at, bytes, segment, from),
			() => {
				engine.turn();
				// The kernel answers a packet while it is written (acknowledgements, echoes): looking at once saves a wait.
				if (tun.drain()) engine.turn();
			},
		);
	else if (udp instanceof DgramSocket) {
		let isDue = false;
		udp.start((at, bytes, from) => {
			engine.inbound(at, bytes, bytes, from);
			if (isDue) return;
			isDue = true;
			// After all that one look at the socket brings: handshakes that are worked off one by one never show as a flood.
			setImmediate(() => {
				isDue = false;
				engine.turn();
			});
		});
	}
}

function obey(
	engine: Engine,
	command: Exclude<Command, { do: "close" | "status" | "taken" | "changeTaken" }>,
	udp: UdpIo,
	mtu: number,
): void {
	const withPeer = (publicKey: Uint8Array, action: (peer: Peer, now: number) => void) =>
		engine.act((device, now) => {
			const peer = device.peer(publicKey);
			if (peer !== undefined) action(peer, now);
		});
	switch (command.do) {
		case "setPeer":
			return setPeer(engine, command.peer, mtu);
		case "removePeer":
			return engine.act((device) => device.removePeer(command.publicKey));
		case "setRoute":
			return withPeer(command.publicKey, (peer) => {
				peer.route = command.route;
			});
		case "setEndpoint":
			return withPeer(command.publicKey, (peer) => {
				peer.endpoint = endpointOf(command.endpoint.address, command.endpoint.port) ?? peer.endpoint;
			});
		case "setMtu":
			return withPeer(command.publicKey, (peer) => {
				peer.mtu = command.bytes;
			});
		case "setRules":
			return engine.setRules(command.rules);
		case "handshake":
			return withPeer(command.publicKey, (peer, now) => peer.initiate(now));
		case "sendDatagram": {
			const to = endpointOf(command.to.address, command.to.port);
			if (to !== null) udp.sendOther(to, command.bytes);
			return;
		}
		case "receiveRelayed":
			return engine.relayed(command.publicKey, command.bytes);
		default:
			return unreachable(command);
	}
}

function setPeer(engine: Engine, wanted: OverlayPeer, mtu: number): void {
	engine.act((device, now) => {
		const peer = device.addPeer(wanted.publicKey, mtu);
		peer.setPresharedKey(wanted.presharedKey);
		const cidrs = wanted.allowedIps.map((each) => parseCidr(each)).filter((cidr) => cidr !== null);
		const names = new Set(cidrs.map((cidr) => formatCidr(cidr)));
		for (const cidr of device.allowed.of(peer)) if (!names.has(formatCidr(cidr))) device.allowed.remove(cidr);
		for (const cidr of cidrs) device.allowed.insert(cidr, peer);
		if (wanted.endpoint !== undefined)
			peer.endpoint = endpointOf(wanted.endpoint.address, wanted.endpoint.port) ?? peer.endpoint;
		const keepalive = wanted.keepalive ?? 0;
		const turnsOn = keepalive > 0 && peer.timers.keepaliveIntervalMs === 0;
		peer.timers.setPersistentKeepalive(keepalive, now);
		// Its purpose is an open path from now on.
		if (turnsOn) peer.timers.persistentKeepalive = now;
		device.tick(now);
	});
}

function statusOf(engine: Engine, peer: Peer): OverlayPeerStatus {
	return {
		publicKey: Uint8Array.from(peer.publicKey),
		endpoint: peer.endpoint === null ? null : plain(peer.endpoint),
		allowedIps: engine.device.allowed.of(peer).map((cidr) => formatCidr(cidr)),
		lastHandshakeAt: peer.lastHandshakeAt,
		receivedBytes: peer.receivedBytes,
		sentBytes: peer.sentBytes,
		route: peer.route,
		mtu: peer.mtu,
	};
}

function refusedOffloads(tun: Tun, udp: OffloadSocket): string | null {
	const refused = [
		...(tun.hasOffload && tun.hasSegmentation ? [] : ["the TUN's segmentation offloads"]),
		...(udp.hasSegmentation ? [] : ["UDP_SEGMENT"]),
		...(udp.hasGro ? [] : ["UDP_GRO"]),
	];
	return refused.length === 0 ? null : `This host refuses ${refused.join(" and ")}.`;
}

function plain(endpoint: Endpoint): UdpEndpoint {
	return { address: endpoint.address, port: endpoint.port };
}
