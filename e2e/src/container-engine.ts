import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "@warren/net";
import { namespacesMissing, reapDead } from "./network/namespaces.ts";

const top = join(import.meta.dirname, "../..");
const prefix = "wrpod";
const folderPrefix = "warren-engine-";
const minutes = 60_000;

/** The base images that no registry hands out here; both are Debian, the second with the pinned Node in it. */
const debian = "docker.io/library/debian:bookworm-slim";
const node = "docker.io/library/node:22-slim";

/**
 * Podman under docker's name, with images, containers and a network of its own: what a command publishes is published
 * in a namespace, and nothing of it is left on the machine.
 */
export class ContainerEngine implements AsyncDisposable {
	/** Before the rest of a PATH. */
	readonly bin: string;
	/** Where published ports are. */
	readonly through: readonly string[];
	readonly #folder: string;
	readonly #namespace = `${prefix}${process.pid}-engine`;

	/** Why none can run here; null = one can. */
	static missing(): string | null {
		const programs = ["podman", "runc", "catatonit", "nsenter", "debootstrap", "iptables"];
		const gone = programs.find((each) => spawnSync(each, ["--version"]).error !== undefined);
		if (gone !== undefined) return `no ${gone}: install podman, runc, catatonit, iptables and debootstrap`;
		if (mirror() === null) return "no Debian among this system's own package sources";
		return namespacesMissing(prefix);
	}

	private constructor() {
		this.#folder = join(tmpdir(), `${folderPrefix}${process.pid}`);
		this.bin = join(this.#folder, "bin");
		this.through = ["nsenter", `--net=/run/netns/${this.#namespace}`];
	}

	/** With both base images. */
	static async start(): Promise<ContainerEngine> {
		await reap();
		const engine = new ContainerEngine();
		try {
			engine.#prepare();
			await engine.#importImages();
			return engine;
		} catch (failure) {
			await engine[Symbol.asyncDispose]();
			throw failure;
		}
	}

	/** A build fetches packages from outside; whatever runs, publishes inside. */
	#prepare(): void {
		for (const each of ["bin", "net"]) mkdirSync(join(this.#folder, each), { recursive: true });
		must("ip", ["netns", "add", this.#namespace]);
		must("ip", ["-n", this.#namespace, "link", "set", "lo", "up"]);
		for (const [name, text] of Object.entries(settings(this.#folder))) writeFileSync(join(this.#folder, name), text);
		const engine = `env ${environment(this.#folder).join(" ")} podman`;
		const script = `#!/bin/sh\ncase $1 in\nbuild) shift; exec ${engine} build --network host "$@" ;;\n*) exec ${this.through.join(" ")} ${engine} "$@" ;;\nesac\n`;
		writeFileSync(join(this.bin, "docker"), script, { mode: 0o755 });
	}

	async #importImages(): Promise<void> {
		const root = join(this.#folder, "root");
		await finished("debootstrap", ["--variant=minbase", "bookworm", root, mirror() as string]);
		// What a network that has its own ways asks of whoever fetches packages.
		cpSync("/etc/apt/apt.conf.d", join(root, "etc/apt/apt.conf.d"), { recursive: true, force: true });
		await this.#import(root, debian, []);
		const certificates = "/etc/ssl/certs/ca-certificates.crt";
		if (existsSync(certificates)) cpSync(certificates, join(root, "usr/local/share/ca-certificates.crt"));
		cpSync(process.execPath, join(root, "usr/local/bin/node"));
		const program = spawnSync("sh", ["-c", "readlink -f $(command -v npm)"], { encoding: "utf8" }).stdout.trim();
		const modules = join(root, "usr/local/lib/node_modules/npm");
		cpSync(join(program, "../.."), modules, { recursive: true, dereference: true });
		const npm = '#!/bin/sh\nexec node /usr/local/lib/node_modules/npm/bin/npm-cli.js "$@"\n';
		writeFileSync(join(root, "usr/local/bin/npm"), npm, { mode: 0o755 });
		const registry = spawnSync("npm", ["config", "get", "registry"], { encoding: "utf8", cwd: top }).stdout.trim();
		await this.#import(root, node, [
			"ENV NODE_EXTRA_CA_CERTS=/usr/local/share/ca-certificates.crt",
			`ENV npm_config_registry=${registry}`,
		]);
		rmSync(root, { recursive: true });
	}

	async #import(root: string, image: string, changes: readonly string[]): Promise<void> {
		const archive = join(this.#folder, "image.tar");
		await finished("tar", ["-C", root, "-cf", archive, "."]);
		const said = changes.flatMap((change) => ["--change", change]);
		await finished(join(this.bin, "docker"), ["import", ...said, archive, image]);
		rmSync(archive);
	}

	async [Symbol.asyncDispose](): Promise<void> {
		await remove(this.#folder);
		spawnSync("ip", ["netns", "del", this.#namespace]);
	}
}

/** Where this system's own packages come from. */
function mirror(): string | null {
	const asked = ["indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)"];
	const said = spawnSync("apt-get", asked, { encoding: "utf8" });
	return (
		said.stdout
			?.split("\n")
			.find((each) => each.endsWith(" bookworm main"))
			?.split(" ")[0] ?? null
	);
}

function settings(folder: string): Readonly<Record<string, string>> {
	const bridge = {
		...{ type: "bridge", bridge: "pod0", isGateway: true, ipMasq: true, hairpinMode: true },
		ipam: {
			...{ type: "host-local", dataDir: join(folder, "addresses"), routes: [{ dst: "0.0.0.0/0" }] },
			ranges: [[{ subnet: "10.88.0.0/16", gateway: "10.88.0.1" }]],
		},
	};
	const plugins = [bridge, { type: "portmap", capabilities: { portMappings: true } }, { type: "tuning" }];
	return {
		"net/87-podman-bridge.conflist": JSON.stringify({ cniVersion: "0.4.0", name: "podman", plugins }),
		// A system that is itself contained lets nobody raise a limit.
		"containers.conf": `[containers]
default_ulimits=["nofile=8192:8192","nproc=8192:8192"]
log_driver="k8s-file"
[engine]
cgroup_manager="cgroupfs"
events_logger="file"
runtime="runc"
[network]
network_config_dir="${join(folder, "net")}"
`,
		"storage.conf": `[storage]
driver="overlay"
graphroot="${join(folder, "images")}"
runroot="${join(folder, "run")}"
`,
		"registries.conf": 'unqualified-search-registries=["docker.io"]\n',
	};
}

function environment(folder: string): readonly string[] {
	const of = (name: string, file: string) => `${name}=${join(folder, file)}`;
	return [
		of("CONTAINERS_CONF", "containers.conf"),
		of("CONTAINERS_STORAGE_CONF", "storage.conf"),
		of("CONTAINERS_REGISTRIES_CONF", "registries.conf"),
		of("TMPDIR", "."),
		// Docker's own format keeps the health check; its timer would be systemd's.
		"BUILDAH_FORMAT=docker",
		"DISABLE_HC_SYSTEMD=true",
	];
}

/** What a run that was killed left behind. */
async function reap(): Promise<void> {
	for (const name of readdirSync(tmpdir())) {
		const pid = name.startsWith(folderPrefix) ? name.slice(folderPrefix.length) : null;
		if (pid !== null && /^\d+$/.test(pid) && !existsSync(`/proc/${pid}`)) await remove(join(tmpdir(), name));
	}
	reapDead(prefix);
}

async function remove(folder: string): Promise<void> {
	spawnSync("env", [...environment(folder), "podman", "rm", "--all", "--force", "--time", "0"]);
	await rm(folder, { recursive: true, force: true, maxRetries: 3 });
	// The engine leaves its empty control groups; those of another engine are not empty.
	for (const each of ["", ...readdirSync("/sys/fs/cgroup")]) {
		const group = join("/sys/fs/cgroup", each, "libpod_parent");
		if (existsSync(group)) removeEmpty(group);
	}
}

function removeEmpty(group: string): void {
	try {
		for (const each of readdirSync(group, { withFileTypes: true }))
			if (each.isDirectory()) rmdirSync(join(group, each.name));
		rmdirSync(group);
	} catch (failure) {
		if ((failure as NodeJS.ErrnoException).code !== "EBUSY") throw failure;
	}
}

function must(command: string, args: readonly string[]): void {
	const done = spawnSync(command, args, { encoding: "utf8" });
	if (done.status !== 0) throw new Error(`${command} ${args.join(" ")}: ${done.stderr}${done.error ?? ""}`);
}

async function finished(command: string, args: readonly string[]): Promise<void> {
	const done = await run(command, args, { timeoutMs: 10 * minutes });
	if (done.outcome !== "exited") throw new Error(done.message);
	if (done.code !== 0) throw new Error(`${command} ${args.join(" ")}: ${done.stderr}`);
}
