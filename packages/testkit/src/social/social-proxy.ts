import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { createServer } from "node:https";
import { type AddressInfo, connect, type Socket } from "node:net";
import { join } from "node:path";
import { systemClock, systemRandom } from "@warren/kernel";
import { Authority } from "@warren/net";
import { tempFolder } from "../temp-folder.ts";
import { socialHosts, socialServices } from "./social-services.ts";

/** The services on loopback, with TLS of an authority of their own. */
export interface SocialProxy extends AsyncDisposable {
	/** What makes a Node process reach them instead of the real ones: as behind a company's proxy. */
	readonly env: Readonly<Record<string, string>>;
	/** PEM: a browser that trusts it believes them. */
	readonly ca: string;
	/** `127.0.0.1:PORT` where TLS is spoken, for a browser's host rules. */
	readonly address: string;
}

export async function openSocialProxy(): Promise<SocialProxy> {
	const { authority, pem } = await Authority.create("services", [...socialHosts], systemClock, systemRandom);
	const leaf = await authority.issue({ name: "services", hosts: [...socialHosts], uris: [], usages: ["server"] });
	const services = createServer({ cert: leaf.cert, key: leaf.key }, (incoming, outgoing) => {
		void (async () => {
			const chunks: Buffer[] = [];
			for await (const chunk of incoming) chunks.push(chunk as Buffer);
			const body = Buffer.concat(chunks);
			const answer = await socialServices(
				new Request(`https://${incoming.headers.host}${incoming.url}`, {
					method: incoming.method ?? "GET",
					headers: incoming.headers as Record<string, string>,
					...(body.length === 0 ? {} : { body }),
				}),
			);
			outgoing.writeHead(answer.status, Object.fromEntries(answer.headers));
			outgoing.end(Buffer.from(await answer.arrayBuffer()));
		})();
	});
	const proxy = createHttpServer((_, refused) => refused.writeHead(403).end());
	const sockets = new Set<Socket>();
	proxy.on("connect", (request, client: Socket) => {
		const known = socialHosts.some((host) => request.url === `${host}:443`);
		if (!known) return void client.end("HTTP/1.1 403 Forbidden\r\n\r\n");
		const upstream = connect((services.address() as AddressInfo).port, "127.0.0.1", () => {
			client.write("HTTP/1.1 200 Connection established\r\n\r\n");
			client.pipe(upstream).pipe(client);
		});
		for (const socket of [client, upstream]) {
			sockets.add(socket);
			socket.on("error", () => socket.destroy());
		}
	});
	for (const server of [services, proxy]) {
		server.listen(0, "127.0.0.1");
		await once(server, "listening");
	}
	const folder = tempFolder("services");
	const caFile = join(folder.path, "ca.crt");
	writeFileSync(caFile, pem.cert);
	const port = (proxy.address() as AddressInfo).port;
	return {
		env: {
			NODE_USE_ENV_PROXY: "1",
			HTTPS_PROXY: `http://127.0.0.1:${port}`,
			NO_PROXY: "127.0.0.1,localhost",
			NODE_EXTRA_CA_CERTS: caFile,
		},
		ca: pem.cert,
		address: `127.0.0.1:${(services.address() as AddressInfo).port}`,
		async [Symbol.asyncDispose]() {
			for (const socket of sockets) socket.destroy();
			services.closeAllConnections();
			await Promise.all([services, proxy].map((server) => new Promise((resolve) => server.close(resolve))));
			folder[Symbol.dispose]();
		},
	};
}
