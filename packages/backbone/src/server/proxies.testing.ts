import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { tempFolder } from "@warren/testkit";

const readyMs = 15_000;
const answerMs = 5_000;

export type ProxyName = "nginx" | "haproxy";

/** What became of some bytes at a proxy. */
export interface Verdict {
	/** Of its first answer; 0 = it closed without one. */
	readonly status: number;
	/** What its origin got. */
	readonly forwarded: string;
}

/** @returns why a proxy cannot be asked here, or null. */
export function missingProxy(name: ProxyName): string | null {
	return spawnSync(name, ["-v"]).error === undefined
		? null
		: `${name} is not installed (Debian's package of that name)`;
}

/** A real proxy before an origin that answers whatever looks like a head; on a socket of its own, in a folder of its own. */
export class TestProxy implements Disposable {
	readonly #path: string;
	readonly #child: ChildProcess;
	readonly #origin: Server;
	readonly #folder: ReturnType<typeof tempFolder>;
	#received = "";

	private constructor(path: string, child: ChildProcess, origin: Server, folder: ReturnType<typeof tempFolder>) {
		this.#path = path;
		this.#child = child;
		this.#origin = origin;
		this.#folder = folder;
	}

	static async start(name: ProxyName): Promise<TestProxy> {
		const folder = tempFolder(name);
		const sockets = new Set<Socket>();
		let proxy: TestProxy | null = null;
		const origin = createServer((socket) => {
			sockets.add(socket);
			socket.on("error", () => {});
			socket.on("data", (bytes) => {
				if (proxy !== null) proxy.#received += bytes.toString("latin1");
				socket.end("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
			});
		});
		await new Promise<void>((resolve) => origin.listen(0, "127.0.0.1", resolve));
		const { port } = origin.address() as AddressInfo;
		const path = folder.file("front");
		const file = folder.file("config");
		writeFileSync(file, name === "nginx" ? nginxConfig(folder, path, port) : haproxyConfig(path, port));
		const args = name === "nginx" ? ["-c", file, "-e", folder.file("error")] : ["-db", "-q", "-f", file];
		const child = spawn(name, args, { stdio: "ignore" });
		proxy = new TestProxy(path, child, origin, folder);
		try {
			await proxy.#ready();
		} catch (fault) {
			proxy[Symbol.dispose]();
			throw fault;
		}
		return proxy;
	}

	ask(bytes: string): Promise<Verdict> {
		this.#received = "";
		return new Promise((resolve) => {
			let seen = "";
			const socket = connect(this.#path);
			const settle = () => {
				clearTimeout(late);
				socket.destroy();
				resolve({ status: Number(/^HTTP\/1\.[01] (\d{3})/.exec(seen)?.[1] ?? 0), forwarded: this.#received });
			};
			const late = setTimeout(settle, answerMs);
			socket.on("connect", () => socket.write(bytes, "latin1"));
			socket.on("error", settle);
			socket.on("close", settle);
			socket.on("data", (piece) => {
				seen += piece.toString("latin1");
				if (/^HTTP\/1\.[01] \d{3}/.test(seen)) settle();
			});
		});
	}

	[Symbol.dispose](): void {
		this.#child.kill("SIGKILL");
		this.#origin.close();
		this.#folder[Symbol.dispose]();
	}

	async #ready(): Promise<void> {
		const until = performance.now() + readyMs;
		for (;;) {
			const dialled = await new Promise<boolean>((resolve) => {
				const socket = connect(this.#path, () => {
					socket.destroy();
					resolve(true);
				});
				socket.on("error", () => resolve(false));
			});
			if (dialled) return;
			if (this.#child.exitCode !== null || performance.now() > until) throw new Error("the proxy does not listen");
			await new Promise((resolve) => setTimeout(resolve, 20));
		}
	}
}

function nginxConfig(folder: ReturnType<typeof tempFolder>, path: string, port: number): string {
	mkdirSync(folder.file("temp"));
	const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
		(each) => `${each}_temp_path ${folder.file("temp")}/${each};`,
	);
	return `daemon off; master_process off; pid ${folder.file("pid")}; error_log ${folder.file("error")} crit;
events { worker_connections 64; }
http { access_log off; ${temporary.join(" ")}
server { listen unix:${path}; location / {
proxy_pass http://127.0.0.1:${port}; proxy_http_version 1.1; proxy_request_buffering off;
proxy_set_header Host $http_host; proxy_set_header Connection ""; } } }`;
}

function haproxyConfig(path: string, port: number): string {
	return `defaults
  mode http
  timeout connect 5s
  timeout client 5s
  timeout server 5s
frontend front
  bind unix@${path}
  default_backend origin
backend origin
  server origin 127.0.0.1:${port}
`;
}
