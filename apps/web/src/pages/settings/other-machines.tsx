import { useState } from "react";
import { Link } from "wouter";
import { self, terminalsPath } from "../../api/machine.ts";
import { credentials } from "../../api/warren.tsx";
import { dayOf } from "../../ui/time.ts";
import { t } from "../text/settings.ts";

export function OtherMachines() {
	// Read again whenever the own credential changes, and after each forgetting.
	const [, setVersion] = useState(0);
	const others = credentials.all().filter(([machine]) => machine !== self);
	if (others.length === 0) return null;
	return (
		<section className="section" aria-labelledby="others">
			<header>
				<h2 id="others">{t.otherMachines}</h2>
				<p>{t.otherMachinesLead}</p>
			</header>
			<ul className="card list">
				{others.map(([machine, credential]) => (
					<li key={machine}>
						<Link className="grow" href={terminalsPath(machine)}>
							{credential.machineName}
						</Link>
						<span className="small faint">{t.deviceMade(dayOf(credential.savedAt))}</span>
						<button
							type="button"
							className="button"
							aria-label={`${t.forget} ${credential.machineName}`}
							onClick={() => {
								credentials.drop(machine);
								setVersion((now) => now + 1);
							}}
						>
							{t.forget}
						</button>
					</li>
				))}
			</ul>
		</section>
	);
}
