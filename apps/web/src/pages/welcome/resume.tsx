import { X } from "lucide-react";
import { Link } from "wouter";
import { type MachineId, self } from "../../api/machine.ts";
import { Notice } from "../../ui/states.tsx";
import { endWelcome, useWelcomeStep, welcomePath } from "./progress.ts";
import { t } from "./text.ts";

/** The way back into a set-up that was put off. */
export function ResumeWelcome({ machine }: { machine: MachineId }) {
	const step = useWelcomeStep();
	if (step === undefined || step === "done" || machine !== self) return null;
	return (
		<Notice
			title={t.resumeTitle}
			action={
				<button type="button" className="icon-button" aria-label={t.dismiss} title={t.dismiss} onClick={endWelcome}>
					<X size={17} />
				</button>
			}
		>
			<span>
				<Link className="link" href={welcomePath}>
					{t.resume}
				</Link>
			</span>
		</Notice>
	);
}
