import {
	type Authenticator,
	type Clock,
	type CredentialKind,
	ExpiringMap,
	type Identity,
	newSecret,
	type Random,
} from "@warren/kernel";

export const wsTicketLimits = { lifetimeMs: 30_000, maxWaiting: 1000 } as const;

interface WaitingTicket {
	readonly identity: Identity;
	readonly kind: CredentialKind;
	readonly path: string;
	readonly upstreamAuthorization: string | null;
}

/**
 * Single-use passes for one WebSocket upgrade to one path: browsers cannot set headers on those. In memory only; what
 * they carry for the far side of a relay dies with them.
 */
export class WsTickets implements Authenticator {
	readonly kinds: readonly CredentialKind[] = [];
	readonly #random: Random;
	readonly #waiting: ExpiringMap<string, WaitingTicket>;

	constructor(clock: Clock, random: Random) {
		this.#random = random;
		this.#waiting = new ExpiringMap(clock, wsTicketLimits.maxWaiting);
	}

	issue(ticket: WaitingTicket): string {
		const secret = newSecret(this.#random);
		this.#waiting.set(secret, ticket, wsTicketLimits.lifetimeMs);
		return secret;
	}

	/** Forgets the tickets of somebody who was signed out. */
	revoke(matches: (identity: Identity) => boolean): void {
		this.#waiting.deleteWhere((ticket) => matches(ticket.identity));
	}

	authenticate: Authenticator["authenticate"] = async (credential, context) => {
		if (credential.scheme !== "ws-ticket") return null;
		const ticket = this.#waiting.take(credential.ticket);
		if (ticket === undefined || ticket.path !== context.path) {
			return {
				ok: false,
				reason: "invalid",
				message: "This WebSocket ticket was used, is over 30 s old, or is for another path.",
			};
		}
		return {
			ok: true,
			identity: ticket.identity,
			kind: ticket.kind,
			...(ticket.upstreamAuthorization === null ? {} : { upstreamAuthorization: ticket.upstreamAuthorization }),
		};
	};
}
