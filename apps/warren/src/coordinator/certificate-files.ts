import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync, unwatchFile, watchFile } from "node:fs";
import { type Closeable, defineErrors, type Logger, messageOf } from "@warren/kernel";
import type { TlsIdentity } from "@warren/net";

const filesError = defineErrors({ bad_config: { status: 500 } });

const serverAuth = "1.3.6.1.5.5.7.3.1";
/** How soon a renewed certificate is taken. */
const pollMs = 1_000;

export interface CertificateFiles {
	readonly tlsCert: string;
	readonly tlsKey: string;
	readonly tlsCa: string;
}

/** A server's certificate, its key and the CA of its clients. @throws WarrenError `bad_config`. */
export function readCertificateFiles({ tlsCert, tlsKey, tlsCa }: CertificateFiles): TlsIdentity {
	try {
		const tls = {
			cert: readFileSync(tlsCert, "utf8"),
			key: readFileSync(tlsKey, "utf8"),
			clientCa: readFileSync(tlsCa, "utf8"),
		};
		const leaf = new X509Certificate(tls.cert);
		if (leaf.keyUsage !== undefined && !leaf.keyUsage.includes(serverAuth))
			throw new Error("it is a client's certificate: issue one with --host ADDRESS");
		if (!leaf.checkPrivateKey(createPrivateKey(tls.key))) throw new Error("the key is another certificate's");
		return tls;
	} catch (cause) {
		throw filesError(
			"bad_config",
			`The certificate files ${tlsCert}, ${tlsKey} and ${tlsCa} cannot be used: ${messageOf(cause)}.`,
			{
				fix: "Make them with: warren ca issue-peer --name coordinator --host ADDRESS --ca-dir DIR --out DIR",
				cause,
			},
		);
	}
}

/** Calls `use` with what the files say whenever they change. Half a renewal, or nonsense, leaves what was there. */
export function watchCertificateFiles(
	files: CertificateFiles,
	logger: Logger,
	use: (tls: TlsIdentity) => void,
): Closeable {
	const look = () => {
		try {
			use(readCertificateFiles(files));
			logger.info("the certificate files have changed and are used now", { file: files.tlsCert });
		} catch (fault) {
			logger.warn("the certificate files have changed and are not usable: the old ones stay", {
				fault: messageOf(fault),
			});
		}
	};
	const all = [files.tlsCert, files.tlsKey, files.tlsCa];
	for (const file of all) watchFile(file, { interval: pollMs, persistent: false }, look);
	return {
		close: async () => {
			for (const file of all) unwatchFile(file, look);
		},
	};
}
