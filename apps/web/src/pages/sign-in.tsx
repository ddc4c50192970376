import { useState } from "react";
import { Link } from "wouter";
import { tryEnrolWithAccount } from "../api/enrolment.ts";
import { useDiscovery, useHubRole } from "../api/hub.ts";
import { self } from "../api/machine.ts";
import { preferences, setPreferences } from "../shell/preferences.ts";
import { Segments } from "../ui/field.tsx";
import { AccountSignIn } from "./account-sign-in.tsx";
import { Gate } from "./gate.tsx";
import { HubChoice } from "./hub-choice.tsx";
import { NodeSignIn } from "./node-sign-in.tsx";
import { t } from "./text/sign-in.ts";

type Way = "account" | "pin";

/** The way in: by the account, which opens the person's own machines, or by this machine's user and PIN. */
export function SignInPage({ onEntered }: { onEntered: () => void }) {
	const role = useHubRole();
	const name = useDiscovery().data?.name;
	const [chosen, setChosen] = useState<Way>(preferences().signInBy);
	const way: Way = role === "none" ? "pin" : chosen;
	const machineName = name ?? location.host;
	return (
		<Gate
			title={t.title}
			lead={way === "pin" ? t.lead(name ?? t.thisMachine) : t.accountLead}
			foot={
				<>
					<span className="mono clip">{location.host}</span>
					<Link href="/trust">{t.trust}</Link>
				</>
			}
		>
			{role !== "none" && (
				<Segments
					label={t.ways}
					value={way}
					options={[
						["account", t.byAccount],
						["pin", t.byPin],
					]}
					onChange={(next) => {
						setChosen(next);
						setPreferences({ signInBy: next });
					}}
				/>
			)}
			{way === "pin" ? (
				<NodeSignIn machine={self} machineName={machineName} />
			) : (
				<AccountSignIn
					onDone={async () => {
						await tryEnrolWithAccount(self, machineName);
						onEntered();
					}}
				/>
			)}
			{way === "account" && <HubChoice />}
		</Gate>
	);
}
