import { parseConfig } from "@warren/kernel";
import { z } from "zod";

/** Services whose accounts may sign in here, as far as this hub is registered there. */
export type SocialService = "google" | "github";

/** A hub's own registration at each service. `clientSecret` is a secret. */
export type SocialProviders = Readonly<
	Partial<Record<SocialService, { readonly clientId: string; readonly clientSecret: string }>>
>;

export const socialNames: Readonly<Record<SocialService, string>> = { google: "Google", github: "GitHub" };

const services = Object.keys(socialNames) as SocialService[];
/** Set, and not by an empty line of an environment file. */
const value = z.string().trim().optional();
const schema = z
	.object({
		GOOGLE_CLIENT_ID: value,
		GOOGLE_CLIENT_SECRET: value,
		GITHUB_CLIENT_ID: value,
		GITHUB_CLIENT_SECRET: value,
	})
	.superRefine((settings, context) => {
		for (const service of services) {
			const [id, secret] = variablesOf(service);
			if (!settings[id] === !settings[secret]) continue;
			const missing = settings[id] ? secret : id;
			context.addIssue({ code: "custom", path: [missing], message: `${id} and ${secret} go together` });
		}
	});

/** The registrations in an environment. @throws WarrenError `bad_config` for half of one. */
export function readSocialVariables(
	environment: Readonly<Record<string, string | undefined>>,
	role: string,
): SocialProviders {
	const settings = parseConfig(schema, environment, role);
	return Object.fromEntries(
		services.flatMap((service) => {
			const [id, secret] = variablesOf(service);
			const [clientId, clientSecret] = [settings[id], settings[secret]];
			return clientId && clientSecret ? [[service, { clientId, clientSecret }]] : [];
		}),
	);
}

function variablesOf(service: SocialService) {
	const prefix = service.toUpperCase() as Uppercase<SocialService>;
	return [`${prefix}_CLIENT_ID`, `${prefix}_CLIENT_SECRET`] as const;
}
