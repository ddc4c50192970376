import { type Authenticator, equalSecrets, newSecret, type Random } from "@warren/kernel";

/** Begins the token of a process's own console: whoever can read the data folder owns the role anyway. */
const prefix = "wl_";

/** Lets commands of this machine into a role that runs without a node: `warren invite`, `warren status`. */
export class ConsoleAccess implements Authenticator {
	readonly kinds = ["admin"] as const;
	/** A secret, new at each start: kept 0600 in the data folder. */
	readonly token: string;

	constructor(random: Random) {
		this.token = `${prefix}${newSecret(random)}`;
	}

	authenticate: Authenticator["authenticate"] = async (credential) => {
		if (credential.scheme !== "bearer" || !credential.token.startsWith(prefix)) return null;
		if (!equalSecrets(credential.token, this.token))
			return { ok: false, reason: "invalid", message: "This console token is of an earlier start." };
		return { ok: true, kind: "admin", identity: { kind: "operator", name: "console" } };
	};
}
