import { systemClock, systemRandom } from "@warren/kernel";
import { AuthorityFolder, authorityFolderLimits } from "@warren/overlay";
import type { Command } from "commander";
import { renderTable } from "./table.ts";

const show = (json: boolean | undefined, value: object, text: string) =>
	process.stdout.write(json === true ? `${JSON.stringify(value)}\n` : `${text}\n`);
const date = (ms: number) => new Date(ms).toISOString().slice(0, 10);

/** `warren ca`: the overlay's own CA, as files on this machine. */
export function addCaCommands(program: Command): void {
	const ca = program.command("ca").description("The overlay's certificate authority: a folder on this machine");
	ca.command("init")
		.description("Make ca.crt and ca.key")
		.requiredOption("--out <dir>", "folder for the CA")
		.option("--name <name>", "what it is called", "Private mesh")
		.option("--host <host...>", "public names and addresses that its servers may have", [])
		.option("--json", "the result as JSON")
		.action(async (flags: { out: string; name: string; host: string[]; json?: boolean }) => {
			const made = await AuthorityFolder.init(flags.out, flags.name, flags.host, systemClock, systemRandom);
			show(
				flags.json,
				{ cert: made.certFile, fingerprint: made.fingerprint, notAfter: made.notAfter },
				`${made.certFile}, until ${date(made.notAfter)}\nSHA-256 ${made.fingerprint}\nKeep ca.key where it is: whoever has it can admit machines.`,
			);
		});
	ca.command("issue-peer")
		.description("Make a machine's peer.crt and peer.key; the same name again renews it")
		.requiredOption("--name <name>", "the machine's name")
		.requiredOption("--ca-dir <dir>", "the CA's folder")
		.requiredOption("--out <dir>", "folder for the certificate")
		.option("--tag <tag...>", "tags that the policy sees", [])
		.option("--host <host...>", "names and addresses at which it serves (a coordinator's)", [])
		.option("--days <days>", "how long it is good", String(authorityFolderLimits.defaultDays))
		.option("--json", "the result as JSON")
		.action(
			async (flags: {
				name: string;
				caDir: string;
				out: string;
				tag: string[];
				host: string[];
				days: string;
				json?: boolean;
			}) => {
				const folder = await AuthorityFolder.open(flags.caDir, systemClock, systemRandom);
				const issued = await folder.issuePeer({
					name: flags.name,
					out: flags.out,
					tags: flags.tag,
					hosts: flags.host,
					days: Number(flags.days),
				});
				show(flags.json, issued, `${issued.certFile} and peer.key, until ${date(issued.notAfter)}`);
			},
		);
	ca.command("revoke <name>")
		.description("Take back all certificates of a machine; writes ca.crl for the coordinator's --tls-crl")
		.requiredOption("--ca-dir <dir>", "the CA's folder")
		.option("--json", "the result as JSON")
		.action(async (name: string, flags: { caDir: string; json?: boolean }) => {
			const folder = await AuthorityFolder.open(flags.caDir, systemClock, systemRandom);
			const revoked = await folder.revoke(name);
			show(
				flags.json,
				revoked,
				`${revoked.file}: ${revoked.serialNumbers.length} certificates of ${name} count no more.\nPut it where the coordinator's --tls-crl points; it is read within seconds.`,
			);
		});
	ca.command("rotate")
		.description("Make the next CA beside this one; machines are renewed while both are trusted")
		.requiredOption("--ca-dir <dir>", "the CA's folder")
		.option("--json", "the result as JSON")
		.action(async (flags: { caDir: string; json?: boolean }) => {
			const folder = await AuthorityFolder.open(flags.caDir, systemClock, systemRandom);
			const next = await folder.rotate();
			const toRenew = next.notRenewed();
			show(
				flags.json,
				{ cert: next.certFile, fingerprint: next.fingerprint, notAfter: next.notAfter, toRenew },
				`${next.certFile}, until ${date(next.notAfter)}\nSHA-256 ${next.fingerprint}\nFirst bring this file to every machine as its --tls-ca; it is taken without a restart.\nThen issue each certificate anew (${toRenew.length}), coordinators last; then: warren ca retire`,
			);
		});
	ca.command("retire")
		.description("Trust the newest CA alone, once every machine has a certificate of it")
		.requiredOption("--ca-dir <dir>", "the CA's folder")
		.option("--force", "also where machines have none", false)
		.option("--json", "the result as JSON")
		.action(async (flags: { caDir: string; force: boolean; json?: boolean }) => {
			const folder = await AuthorityFolder.open(flags.caDir, systemClock, systemRandom);
			folder.retire(flags.force);
			show(
				flags.json,
				{ cert: folder.certFile, fingerprint: folder.fingerprint },
				`${folder.certFile} holds one CA.\nBring this file to every machine: until then what the earlier one signed still counts there.`,
			);
		});
	ca.command("list")
		.description("Machines with certificates of this CA")
		.requiredOption("--ca-dir <dir>", "the CA's folder")
		.option("--json", "the result as JSON")
		.action(async (flags: { caDir: string; json?: boolean }) => {
			const folder = await AuthorityFolder.open(flags.caDir, systemClock, systemRandom);
			const peers = folder.list();
			show(
				flags.json,
				{ peers },
				renderTable([
					["NAME", "UNTIL", "CERTIFICATES"],
					...peers.map((each) => [each.name, date(each.notAfter), String(each.serialNumbers.length)]),
				]),
			);
		});
}
