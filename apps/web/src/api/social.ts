import { useQuery } from "@tanstack/react-query";
import type { Hub } from "./hub-client.ts";

/** Sign-in by other services' accounts, as far as the hub is registered there. */
export interface SocialService {
	id: string;
	name: string;
}

/** One of a person's accounts, as the account library lists them; `credential` is the hub's own password. */
export interface LinkedAccount {
	id: string;
	providerId: string;
	createdAt?: string;
}

/** Where the other service sends people back to; the page there finishes it. */
export const signedInPath = "/signed-in";

export function useSocialServices(hub: Hub): readonly SocialService[] {
	const { data } = useQuery({
		queryKey: ["hub", "services"],
		queryFn: async ({ signal }) =>
			(await hub.request<{ services: SocialService[] }>("/auth/services", { signal, token: null })).services,
		staleTime: 5 * 60_000,
		retry: false,
	});
	return data ?? [];
}

/** Leaves this page for the service's. */
export async function goTo(hub: Hub, service: SocialService, purpose: "sign-in" | "link"): Promise<void> {
	const back = purpose === "link" ? "/account" : signedInPath;
	const { url } = await hub.request<{ url: string }>(
		purpose === "link" ? "/auth/link-social" : "/auth/sign-in/social",
		{
			method: "POST",
			body: { provider: service.id, callbackURL: back, errorCallbackURL: back, disableRedirect: true },
			cookies: true,
			...(purpose === "link" ? {} : { token: null }),
		},
	);
	location.assign(url);
}

/** Back from the service: takes over the session that the cookie holds. @throws Error when there is none. */
export async function takeOverSession(hub: Hub): Promise<void> {
	const found = await hub.request<{ session?: { token?: unknown } } | null>("/auth/get-session", {
		cookies: true,
		token: null,
	});
	const token = found?.session?.token;
	if (typeof token !== "string") throw new Error("The service sent you back, and the hub knows of no sign-in.");
	await hub.adopt(token);
}
