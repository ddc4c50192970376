import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer as createTcpServer } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { openDelay } from "./delay-relay.ts";
import { type Peer, programs } from "./peers.ts";
import { family, sshArguments, sshd } from "./ssh.ts";

const main = fileURLToPath(new URL("../../apps/warren/src/main.js", import.meta.url));
const adminToken = "an-administrator-of-benches";
const readyMs = 15_000;
const secret = "a-secret-of-benches";

/** One way to the origin. */
export interface Path {
	readonly name: string;
	readonly port: number;
	readonly host: string;
	readonly credential: string | null;
	/** Whose CPU time and memory count: the server's first, then the agent's. */
	readonly pids: readonly number[];
}

/** Where the paths of one run live and lead. */
export interface Site {
	readonly folder: string;
	readonly originPort: number;
	/** Between agent and server; 0 = no relay at all. */
	readonly rttMs: number;
	/** Every process that is started; the last ends first. */
	readonly children: ChildProcess[];
}

/** The port that an agent dials to come out at `port`. */
const leg = (site: Site, port: number) =>
	site.rttMs === 0 ? Promise.resolve(port) : openDelay(port, site.rttMs, site.children);

function launch(site: Site, program: string, args: readonly string[]): number {
	const child = spawn(program, args, { stdio: "ignore" });
	site.children.push(child);
	child.on("error", () => {});
	return child.pid as number;
}

async function started(
	site: Site,
	args: readonly string[],
	env: Readonly<Record<string, string>>,
): Promise<Record<string, unknown>> {
	const child = spawn(process.execPath, [main, ...args, "--json"], {
		stdio: ["ignore", "pipe", "inherit"],
		env: { PATH: process.env["PATH"] ?? "", HOME: site.folder, WARREN_LOG_LEVEL: "error", ...env },
	});
	site.children.push(child);
	const [line] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
	return JSON.parse(line) as Record<string, unknown>;
}

/** Our server, and what makes a path of a transport through it; `links` idle connections are parked where told. */
export async function openWarren(site: Site): Promise<(transport: string, links?: number) => Promise<Path>> {
	const data = join(site.folder, `data-${site.rttMs}`);
	const server = await started(site, ["backbone", "--http", "--port", "0", "--data", data], {
		BACKBONE_ADMIN_TOKEN: adminToken,
	});
	const port = server["port"] as number;
	const backbone = `http://127.0.0.1:${await leg(site, port)}`;
	const api = async (path: string, body: object): Promise<Record<string, string>> => {
		const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
			method: "POST",
			headers: { authorization: `Bearer ${adminToken}`, "content-type": "application/json" },
			body: JSON.stringify(body),
		});
		return (await answer.json()) as Record<string, string>;
	};
	const { credential, principal_id } = await api("/principals", { name: "Bench", email: "bench@example.com" });
	return async (transport, links) => {
		const service = links === undefined ? transport : `parked-${links}`;
		const { token } = await api("/admin/api/tokens", { service_name: service });
		await api("/admin/api/grants", { principal_id, service });
		const file = join(site.folder, `agent-${site.rttMs}-${service}.json`);
		const target = `127.0.0.1:${site.originPort}`;
		const each = { service, target, token, transport, ...(links === undefined ? {} : { links }) };
		writeFileSync(file, JSON.stringify({ backbone, services: [each] }), { mode: 0o600 });
		const agent = await started(site, ["agent", "--config", file, "--log-level", "error"], {});
		const pids = [server["pid"] as number, agent["pid"] as number];
		return { name: `warren, ${transport}`, port, host: `${service}.localhost`, credential: credential as string, pids };
	};
}

/** @param pool idle connections that the agent keeps; frp's own default unless told. */
export async function openPeer(site: Site, peer: Peer, pool?: number): Promise<Path> {
	const [control, port] = [await freePort(), await freePort()];
	const base = join(site.folder, `${peer}-${site.rttMs}-${pool ?? ""}`);
	mkdirSync(base);
	const file = (name: string, text: string) => {
		writeFileSync(join(base, name), text);
		return join(base, name);
	};
	const name = peer;
	const host = "localhost";
	const pids: number[] = [];
	switch (peer) {
		case "frp": {
			const limits = `transport.maxPoolCount = ${Math.max(5, pool ?? 0)}`;
			const common = 'log.level = "error"\nauth.token = "' + secret + '"';
			const server = `bindAddr = "127.0.0.1"\nbindPort = ${control}\nvhostHTTPPort = ${port}\n${limits}\n${common}\n`;
			pids.push(launch(site, programs.frps, ["-c", file("frps.toml", server)]));
			await listening(control);
			const to = `serverAddr = "127.0.0.1"\nserverPort = ${await leg(site, control)}\ntransport.poolCount = ${pool ?? 5}\ntransport.tls.enable = false\n${common}\n`;
			const proxy = `[[proxies]]\nname = "bench"\ntype = "http"\nlocalPort = ${site.originPort}\ncustomDomains = ["${host}"]\n`;
			pids.push(launch(site, programs.frpc, ["-c", file("frpc.toml", to + proxy)]));
			break;
		}
		case "chisel": {
			const server = ["server", "--reverse", "--host", "127.0.0.1", "--port", String(control)];
			pids.push(launch(site, programs.chisel, server));
			await listening(control);
			const remote = `R:127.0.0.1:${port}:127.0.0.1:${site.originPort}`;
			pids.push(launch(site, programs.chisel, ["client", `http://127.0.0.1:${await leg(site, control)}`, remote]));
			break;
		}
		case "rathole": {
			const server = `[server]\nbind_addr = "127.0.0.1:${control}"\ndefault_token = "${secret}"\n[server.services.bench]\nbind_addr = "127.0.0.1:${port}"\n`;
			pids.push(launch(site, programs.rathole, ["--server", file("server.toml", server)]));
			await listening(control);
			const client = `[client]\nremote_addr = "127.0.0.1:${await leg(site, control)}"\ndefault_token = "${secret}"\n[client.services.bench]\nlocal_addr = "127.0.0.1:${site.originPort}"\n`;
			pids.push(launch(site, programs.rathole, ["--client", file("client.toml", client)]));
			break;
		}
		case "ssh": {
			const { server, client } = sshArguments(base, control);
			const pid = launch(site, sshd, server);
			await listening(control);
			const remote = ["-R", `127.0.0.1:${port}:127.0.0.1:${site.originPort}`];
			const agent = launch(site, "ssh", [...remote, ...client(await leg(site, control))]);
			await serving(port, host);
			// Its children serve: they are there by now.
			return { name: "ssh -R", port, host, credential: null, pids: [...family(pid), agent] };
		}
	}
	await serving(port, host);
	return { name, port, host, credential: null, pids };
}

async function listening(port: number): Promise<void> {
	const until = performance.now() + readyMs;
	const dial = () =>
		new Promise<boolean>((resolve) => {
			const socket = connect(port, "127.0.0.1", () => {
				socket.destroy();
				resolve(true);
			});
			socket.on("error", () => resolve(false));
		});
	while (!(await dial())) await again(until, `nothing listens on ${port}`);
}

async function serving(port: number, host: string): Promise<void> {
	const until = performance.now() + readyMs;
	const ask = () =>
		fetch(`http://${host}:${port}/`).then(
			async (answer) => (await answer.text()).length > 0 && answer.ok,
			() => false,
		);
	while (!(await ask())) await again(until, `nothing answers on ${port}`);
}

async function again(until: number, message: string): Promise<void> {
	if (performance.now() > until) throw new Error(`${message} after ${readyMs} ms`);
	await new Promise((resolve) => setTimeout(resolve, 50));
}

export async function freePort(): Promise<number> {
	const server = createTcpServer();
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	const { port } = server.address() as AddressInfo;
	await new Promise((resolve) => server.close(resolve));
	return port;
}

/** An nginx of one worker, in the foreground. */
export async function nginx(
	site: Pick<Site, "folder" | "children">,
	name: string,
	server: string,
	upstream: string,
): Promise<{ port: number; pid: number }> {
	const port = await freePort();
	const base = join(site.folder, name);
	mkdirSync(base);
	const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
		(each) => `${each}_temp_path ${base}/${each};`,
	);
	writeFileSync(
		join(base, "nginx.conf"),
		`daemon off; master_process off; pid ${base}/pid; error_log ${base}/error; events { worker_connections 4096; }
http { access_log off; keepalive_requests 1000000000; ${temporary.join(" ")} ${upstream}
server { listen 127.0.0.1:${port}; ${server} } }`,
	);
	const child = spawn("nginx", ["-c", join(base, "nginx.conf"), "-e", join(base, "error")], { stdio: "ignore" });
	site.children.push(child);
	return { port, pid: child.pid as number };
}
