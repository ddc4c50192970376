import { messageOf, type WarrenError } from "@warren/kernel";
import { accountsError } from "../errors.ts";

/** Faults of the network and of TLS, in words; and what a person can do about each. */
const known: Readonly<Record<string, { readonly what: string; readonly fix: string }>> = {
	ECONNREFUSED: {
		what: "nothing listens there",
		fix: "Check the address and its port, and that Warren runs there: warren status",
	},
	ENOTFOUND: { what: "its name does not resolve", fix: "Check the name, or give the machine's address instead." },
	EAI_AGAIN: {
		what: "its name does not resolve now",
		fix: "Check this machine's network, or give the address instead.",
	},
	ETIMEDOUT: { what: "no answer in time", fix: "Check that the machine is on, and that no firewall is between." },
	UND_ERR_CONNECT_TIMEOUT: {
		what: "no answer in time",
		fix: "Check that the machine is on, and that no firewall is between.",
	},
	ENETUNREACH: { what: "this machine has no network that leads there", fix: "Check this machine's network." },
	EHOSTUNREACH: { what: "no way leads there", fix: "Check that the machine is on, and on this network." },
	CERT_NOT_YET_VALID: {
		what: "by this machine's clock its certificate is not valid yet",
		fix: "Set the clocks of both machines: timedatectl set-ntp true",
	},
	CERT_HAS_EXPIRED: {
		what: "by this machine's clock its certificate has ended",
		fix: "Set the clocks of both machines: timedatectl set-ntp true. If they are right, start Warren there again: it renews it.",
	},
	ERR_TLS_CERT_ALTNAME_INVALID: {
		what: "its certificate is for other names",
		fix: "Use a name or an address that the first machine printed, or start it with --hostname NAME.",
	},
	ERR_SSL_WRONG_VERSION_NUMBER: {
		what: "something answers there, but not with TLS",
		fix: "Check the port; was it started with --http?",
	},
	ERR_SSL_PACKET_LENGTH_TOO_LONG: {
		what: "something answers there, but not with TLS",
		fix: "Check the port; was it started with --http?",
	},
};

const notWarren = {
	what: "something answers there, but it is no Warren",
	fix: "Check the address and its port: they are what warren up printed on the first machine.",
};

/** What happened on the way to a hub, and what to do: `hub_unreachable`. */
export function hubUnreachable(origin: string, cause: unknown): WarrenError {
	const { code = "" } = cause as { code?: string };
	// An answer that is no JSON: some other program's page.
	const foreign = cause instanceof SyntaxError ? notWarren : undefined;
	const { what, fix } = foreign ??
		known[code] ?? {
			what: messageOf(cause),
			fix: "Check the address, and that Warren runs there.",
		};
	return accountsError("hub_unreachable", `The hub at ${origin} does not answer: ${what}.`, { cause, fix });
}
