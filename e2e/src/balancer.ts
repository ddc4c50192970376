import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { fileURLToPath } from "node:url";

/** Programs of the system, where they are installed. */
export const balancers = {
	nginx: ["/usr/sbin/nginx", "/usr/bin/nginx"].find((each) => existsSync(each)),
	caddy: ["/usr/bin/caddy", "/usr/local/bin/caddy"].find((each) => existsSync(each)),
	haproxy: ["/usr/sbin/haproxy", "/usr/local/sbin/haproxy"].find((each) => existsSync(each)),
	/** nginx's module for connections that are no HTTP; Debian's nginx has it beside itself. */
	nginxStream: [process.env["WARREN_NGINX_STREAM"] ?? "", "/usr/lib/nginx/modules/ngx_stream_module.so"].find(
		(each) => each !== "" && existsSync(each),
	),
} as const;

export const examples = fileURLToPath(new URL("../../examples/cluster/", import.meta.url));

/** An example with a test's own places in it. @throws Error when it does not hold one that is to be replaced. */
export function exampleWith(file: string, places: readonly (readonly [from: string, to: string])[]): string {
	let text = readFileSync(`${examples}${file}`, "utf8");
	for (const [from, to] of places) {
		if (!text.includes(from)) throw new Error(`${file} does not hold ${from}`);
		text = text.replaceAll(from, to);
	}
	return text;
}

/** For clients: every name is this machine. */
export function toLoopback(_host: string, options: { readonly all?: boolean }, done: (...answer: any[]) => void): void {
	if (options.all === true) done(null, [{ address: "127.0.0.1", family: 4 }]);
	else done(null, "127.0.0.1", 4);
}

/** A whole nginx.conf around what an example holds, in the foreground and in one folder. @param top before it all. */
export function nginxAround(part: string, file: (name: string) => string, top = ""): string {
	const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
		.map((each) => `${each}_temp_path ${file(each)};`)
		.join(" ");
	const body = part.startsWith("stream") ? part : `http { access_log off; ${paths} ${part} }`;
	return `${top}daemon off; master_process off; pid ${file("pid")}; error_log ${file("log")};\nevents {} ${body}`;
}

/** Runs until it is disposed of. Resolves once it accepts connections. */
export async function runBalancer(
	program: string,
	args: readonly string[],
	port: number,
	env: Readonly<Record<string, string>> = {},
): Promise<AsyncDisposable> {
	const child = spawn(program, args, { stdio: "ignore", env: { PATH: process.env["PATH"] ?? "", ...env } });
	const running = { [Symbol.asyncDispose]: () => ended(child) };
	try {
		await listening(port);
		return running;
	} catch (fault) {
		await ended(child);
		throw fault;
	}
}

const maxTries = 400;

/** Resolves once somebody accepts there; a refusal is followed by the next try, 20 s long. */
function listening(port: number): Promise<void> {
	let tries = 0;
	return new Promise((resolve, reject) => {
		const tryOnce = () => {
			const socket = connect(port, "127.0.0.1");
			socket.once("connect", () => {
				socket.destroy();
				resolve();
			});
			socket.once("error", (fault) => {
				tries += 1;
				if (tries < maxTries) setTimeout(tryOnce, 50);
				else reject(fault);
			});
		};
		tryOnce();
	});
}

function ended(child: ChildProcess): Promise<void> {
	return new Promise((resolve) => {
		child.once("exit", () => resolve());
		child.kill("SIGTERM");
		if (child.exitCode !== null || child.signalCode !== null) resolve();
	});
}
