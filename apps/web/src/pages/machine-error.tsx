import { Link } from "wouter";
import { ApiError } from "../api/exchange.ts";
import { type MachineId, self } from "../api/machine.ts";
import { useMachineName } from "../api/warren.tsx";
import { ErrorNotice, StaleNotice } from "../ui/states.tsx";
import { PinCard } from "./pin-card.tsx";
import { t } from "./text/machine-error.ts";

/** Why a machine's data is not here (or not fresh): the certificate's full stop, old data with its age, or the error. */
export function MachineError(props: { machine: MachineId; failure: unknown; dataAt: number; onRetry: () => void }) {
	const name = useMachineName(props.machine);
	if (props.machine !== self && props.failure instanceof ApiError && props.failure.code === "pin_mismatch") {
		return <PinCard peer={props.machine} name={name} />;
	}
	return (
		<>
			{props.dataAt > 0 ? (
				<StaleNotice failure={props.failure} at={props.dataAt} onRetry={props.onRetry} />
			) : (
				<ErrorNotice failure={props.failure} title={t.failed(name)} onRetry={props.onRetry} />
			)}
			<p>
				<Link href="/machines">{t.another}</Link>
			</p>
		</>
	);
}
