import { silentLogger, systemClock, WarrenError } from "@warren/kernel";
import { leaveOverlay } from "@warren/overlay/joiner";
import type { PeerRow } from "@warren/peers";
import type { Command } from "commander";
import { renderUnicodeCompact } from "uqr";
import { joinerSettings, overlayFolder, parseJoinerConfig, readLinkTls } from "../config/joiner-config.ts";
import { openJoiner } from "../overlay/joiner-role.ts";
import { addStockDevice, type JoinerStatus, readJoinerStatus } from "../overlay/stock-device.ts";
import { withTunnels } from "../overlay/tunnelled-peers.ts";
import { withLocalNode } from "./local-node.ts";
import { runRole } from "./run-role.ts";
import { renderAge, renderTable } from "./table.ts";
import { withVariables } from "./variables.ts";

function withOverlayFlags(command: Command): Command {
	return withVariables(
		command
			.option("--data <dir>", "where state lives [WARREN_DATA]")
			.option("--coordinator <url...>", "coordinators, tried in turn [WARREN_COORDINATOR, TABBIFY_MESH_COORDINATOR]")
			.option("--tls-cert <file>", "this machine's certificate, PEM [WARREN_OVERLAY_TLS_CERT]")
			.option("--tls-key <file>", "its key, PEM [WARREN_OVERLAY_TLS_KEY]")
			.option("--tls-ca <file>", "the only CA that is trusted [WARREN_OVERLAY_TLS_CA]")
			.option("--insecure-no-mtls", "no certificates; needs WARREN_ALLOW_INSECURE=1 as well")
			.option("--json", "the result as JSON"),
		joinerSettings,
	);
}

/** `warren overlay`: this machine on the private mesh. */
export function addOverlayCommands(program: Command): void {
	const overlay = program.command("overlay").description("This machine on the private mesh");
	const join = withOverlayFlags(overlay.command("join"))
		.description("Join and stay on the overlay, until SIGTERM or SIGINT")
		.option("--name <name>", "this machine's name [WARREN_NAME]")
		.option("--tag <tag...>", "tags that it asks for; token or certificate decide")
		.option("--network <name>", "which network, default unless told")
		.option("--join-token <token>", "join token; better in the environment [MESH_JOIN_TOKEN]")
		.option("--interface <name>", "the overlay's interface, warren0 unless told")
		.option("--listen-port <port>", "UDP port of WireGuard, 51820 unless told [WARREN_OVERLAY_PORT]")
		.option("--listen-endpoint <address:port>", "where others reach it, when it is known [WARREN_OVERLAY_ENDPOINT]")
		.option("--relay-only", "never directly")
		.option("--data-plane <kind>", "auto, kernel, offload or portable")
		.option("--app <uuid=host:port...>", "serve a local service at its app's address, port 8730 [WARREN_OVERLAY_APPS]")
		.option("--no-names", "no DNS responder")
		.option("--log-level <level>", "debug, info, warn or error [WARREN_LOG_LEVEL]");
	withVariables(join, joinerSettings).action(async (flags: Record<string, unknown>) => {
		const config = parseJoinerConfig(flags, process.env);
		await runRole("joiner", config, (deps) => openJoiner(deps, config));
	});
	overlay
		.command("status")
		.description("Peers and paths, as the joiner of this machine wrote them last")
		.option("--data <dir>", "where state lives [WARREN_DATA]")
		.option("--json", "the result as JSON")
		.action(async (flags: { data?: string; json?: boolean }) => {
			const status = withTunnels(readJoinerStatus(overlayFolder(flags, process.env)), await reachedPeers(flags));
			process.stdout.write(flags.json === true ? `${JSON.stringify(status)}\n` : `${describe(status)}\n`);
		});
	withOverlayFlags(overlay.command("leave"))
		.description("Tell the coordinator that this machine goes; its address stays its own")
		.action(async (flags: Record<string, unknown>) => {
			const config = parseJoinerConfig(flags, process.env);
			const left = await leaveOverlay({
				folder: config.folder,
				coordinators: config.coordinator,
				tls: readLinkTls(config),
				clock: systemClock,
				logger: silentLogger,
			});
			process.stdout.write(
				config.json
					? `${JSON.stringify({ left: left.peer_id, ula: left.ula })}\n`
					: `${left.ula} has left the overlay. Stop the joiner as well, or it comes back.\n`,
			);
		});
	withOverlayFlags(overlay.command("add-device <name>"))
		.description(
			"A phone or computer with the stock WireGuard app, behind this machine: prints its configuration and QR",
		)
		.option("--endpoint <address:port>", "where the device reaches this machine")
		.action(async (name: string, flags: Record<string, unknown> & { endpoint?: string }) => {
			const { endpoint: asked, ...rest } = flags;
			const config = parseJoinerConfig(rest, process.env);
			const { config: text, ...device } = await addStockDevice(config.data, name, asked ?? null, config);
			process.stdout.write(config.json ? `${JSON.stringify({ ...device, config: text })}\n` : text);
			if (!config.json)
				process.stderr.write(
					`\n${renderUnicodeCompact(text, { border: 1 })}\nScan it with the WireGuard app, or save the text for wg-quick. It is shown this once.\n`,
				);
		});
}

/** How the node beside the joiner reaches machines; nothing where it is a joiner alone. */
async function reachedPeers(flags: { data?: string }): Promise<readonly PeerRow[]> {
	try {
		return await withLocalNode(
			flags,
			async (node) => (await node.call<{ peers: PeerRow[] }>("GET", "/api/peers")).peers,
		);
	} catch (fault) {
		if (fault instanceof WarrenError && fault.code === "not_running") return [];
		throw fault;
	}
}

/** After this the joiner has missed three of its five-second rounds. */
const staleMs = 15_000;

function describe(status: JoinerStatus): string {
	const ageMs = Date.now() - status.updated_at;
	const lines = [
		`${status.name}  ${status.ula}  ${status.interface}  data plane ${status.data_plane ?? "-"}  NAT ${status.nat ?? "unknown"}  relay ${status.relay ? "connected" : "away"}`,
		`coordinator ${status.coordinator} ${status.connected ? "connected" : "away"}${ageMs > staleMs ? `  (as of ${renderAge(ageMs)} ago: the joiner does not run)` : ""}`,
		...status.conditions.map((each) => `${each.severity}: ${each.title} ${each.advice}`),
	];
	const rows = status.peers.map((each) => [
		each.display_name,
		each.ula,
		each.path,
		each.endpoint === null
			? "-"
			: each.endpoint.address.includes(":")
				? `[${each.endpoint.address}]:${each.endpoint.port}`
				: `${each.endpoint.address}:${each.endpoint.port}`,
		each.rtt_ms === null ? "-" : `${each.rtt_ms.toFixed(1)} ms`,
		`${each.rx_bytes}/${each.tx_bytes}`,
	]);
	return [...lines, "", renderTable([["PEER", "ADDRESS", "PATH", "ENDPOINT", "RTT", "RX/TX"], ...rows])].join("\n");
}
