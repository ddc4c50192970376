import type { Condition } from "@warren/kernel";
import type { PeerRow } from "@warren/peers";
import type { Command } from "commander";
import { version } from "../version.ts";
import { withLocalNode } from "./local-node.ts";
import { renderAge, renderTable } from "./table.ts";

interface Flags {
	readonly data?: string;
	readonly json?: boolean;
}

interface Status {
	readonly node: {
		readonly name: string;
		readonly version: string;
		readonly url: string;
		readonly fingerprint: string | null;
		readonly startedAt: number;
	};
	readonly roles: readonly { readonly name: string; readonly state: string }[];
	readonly health: { readonly status: string; readonly conditions: readonly Condition[] };
	readonly listeners: readonly {
		readonly role: string;
		readonly host: string;
		readonly port: number;
		readonly secure: boolean;
	}[];
	readonly paths?: readonly { readonly name: string; readonly path: string; readonly connections: number }[];
	readonly process: { readonly pid: number; readonly memoryBytes: number; readonly uptimeMs: number };
}

interface Peers {
	readonly peers: readonly PeerRow[];
	readonly errors: readonly { readonly source: string; readonly message: string; readonly fix: string }[];
}

/** `warren status` and `warren peers`: what the local node knows, on standard output. */
export function addMachineCommands(program: Command): void {
	withFlags(program.command("status").description("How this machine's node is")).action((flags: Flags) =>
		withLocalNode(flags, async (node) => {
			const status = await node.call<Status>("GET", "/api/status");
			print(flags, status, renderStatus);
		}),
	);

	const peers = withFlags(program.command("peers").description("Other machines that this one reaches")).action(
		(flags: Flags) =>
			withLocalNode(flags, async (node) => print(flags, await node.call<Peers>("GET", "/api/peers"), renderPeers)),
	);
	withFlags(peers.command("add <host> [port]").description("Add a machine by name or address"))
		.option("--name <name>", "what to call it")
		.action((host: string, port: string | undefined, _flags: Flags, command: Command) => {
			const flags = command.optsWithGlobals<Flags & { name?: string }>();
			return withLocalNode(flags, async (node) => {
				const body = {
					host,
					...(port === undefined ? {} : { port: Number(port) }),
					...(flags.name === undefined ? {} : { name: flags.name }),
				};
				print(flags, await node.call<PeerRow>("POST", "/api/peers", body), (peer) =>
					renderPeers({ peers: [peer], errors: [] }),
				);
			});
		});
	withFlags(peers.command("remove <peer>").description("Forget a machine that was added by hand")).action(
		(peer: string, _flags: Flags, command: Command) => {
			const flags = command.optsWithGlobals<Flags>();
			return withLocalNode(flags, async (node) => {
				await node.call("DELETE", `/api/peers/${encodeURIComponent(peer)}`);
				print(flags, { removed: peer }, () => `${peer} is forgotten.`);
			});
		},
	);
	withFlags(
		peers.command("trust <peer> <fingerprint>").description("Trust exactly this certificate of a machine"),
	).action((peer: string, fingerprint: string, _flags: Flags, command: Command) => {
		const flags = command.optsWithGlobals<Flags>();
		return withLocalNode(flags, async (node) => {
			const path = `/api/peers/${encodeURIComponent(peer)}/pin`;
			const { pin } = await node.call<{ pin: { fingerprint: string } }>("PUT", path, { fingerprint });
			print(flags, { trusted: peer, pin }, () => `${peer} is trusted with ${pin.fingerprint} alone.`);
		});
	});
	withFlags(
		peers.command("unpin <peer>").description("Forget a machine's certificate; the next contact pins anew"),
	).action((peer: string, _flags: Flags, command: Command) => {
		const flags = command.optsWithGlobals<Flags>();
		return withLocalNode(flags, async (node) => {
			await node.call("DELETE", `/api/peers/${encodeURIComponent(peer)}/pin`);
			print(flags, { unpinned: peer }, () => `${peer} is pinned anew at its next answer.`);
		});
	});
}

function withFlags(command: Command): Command {
	return command.option("--data <dir>", "the node's data folder [WARREN_DATA]").option("--json", "the result as JSON");
}

function print<T>(flags: Flags, result: T, render: (result: T) => string): void {
	process.stdout.write(`${flags.json === true ? JSON.stringify(result) : render(result)}\n`);
}

function renderStatus(status: Status): string {
	const { node, health } = status;
	const facts = renderTable([
		["machine", `${node.name}, version ${node.version}`],
		["open", node.url],
		["certificate", node.fingerprint ?? "none: plain HTTP"],
		["up for", renderAge(status.process.uptimeMs)],
		["memory", `${Math.round(status.process.memoryBytes / 1024 / 1024)} MB, process ${status.process.pid}`],
		...status.roles.map((role) => ["role", `${role.name}: ${role.state}`]),
		...status.listeners.map((each) => [
			"listens",
			`${each.role} on ${each.host} port ${each.port}${each.secure ? "" : ", plain HTTP"}`,
		]),
		...(status.paths ?? []).map(({ name, path, connections }) => [
			"path",
			`${name}: ${path}${connections === 0 ? "" : `, ${connections} open`}`,
		]),
		["health", health.status],
	]);
	return [
		facts,
		...health.conditions.map((condition) => `\n${condition.severity}: ${condition.title}\n  ${condition.advice}`),
	].join("\n");
}

function renderPeers({ peers, errors }: Peers): string {
	const rows = peers.map((peer) => [
		peer.reachable ? "up" : "down",
		peer.name,
		peer.id,
		peer.path === "tunnel" ? "-" : (peer.reachedAt ?? `${peer.host}:${peer.port}`),
		peer.path ?? "-",
		peer.version === undefined ? "-" : isOlder(peer.version) ? `${peer.version} (older)` : peer.version,
		peer.reachable ? `${peer.rttMs} ms` : (peer.error?.message ?? ""),
	]);
	const list =
		rows.length === 0
			? "No other machines yet. Add one with: warren peers add HOST"
			: renderTable([["STATE", "NAME", "ID", "ADDRESS", "PATH", "VERSION", "ANSWER"], ...rows]);
	return [list, ...errors.map((error) => `\n${error.source}: ${error.message}\n  ${error.fix}`)].join("\n");
}

/** Than this program: some of what it offers may be missing there. */
function isOlder(theirs: string): boolean {
	const numbers = (text: string) => (/^\d+(\.\d+)*/.exec(text)?.[0] ?? "").split(".").map(Number);
	const [a, b] = [numbers(theirs), numbers(version)];
	const at = b.findIndex((part, index) => part !== (a[index] ?? 0));
	return at !== -1 && (a[at] ?? 0) < (b[at] as number);
}
