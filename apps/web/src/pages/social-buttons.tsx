import { useState } from "react";
import { hub } from "../api/hub.ts";
import { goTo, type SocialService, useSocialServices } from "../api/social.ts";
import { ActionButton } from "../ui/action-button.tsx";
import { ErrorNotice } from "../ui/states.tsx";

/** One button a service by which the hub lets people in; nothing where it is registered nowhere. */
export function SocialButtons(props: {
	label: (service: string) => string;
	purpose?: "sign-in" | "link";
	/** Those that are not offered, by identifier. */
	without?: readonly string[];
}) {
	const [failure, setFailure] = useState<unknown>();
	const services = useSocialServices(hub).filter(({ id }) => props.without?.includes(id) !== true);
	async function go(service: SocialService) {
		setFailure(undefined);
		try {
			await goTo(hub, service, props.purpose ?? "sign-in");
		} catch (thrown) {
			setFailure(thrown);
		}
	}
	return (
		<>
			{failure !== undefined && <ErrorNotice failure={failure} />}
			{services.map((service) => (
				<ActionButton key={service.id} act={() => go(service)}>
					{props.label(service.name)}
				</ActionButton>
			))}
		</>
	);
}
