import { self } from "../../api/machine.ts";
import { useCredential, useStatus } from "../../api/warren.tsx";
import { ErrorNotice, Skeletons } from "../../ui/states.tsx";
import { t } from "../text/settings.ts";
import { About } from "./about.tsx";
import { ChangePin } from "./change-pin.tsx";
import { Health } from "./health.tsx";
import { Look } from "./look.tsx";
import { NodeDevices } from "./node-devices.tsx";
import { Notifications } from "./notifications.tsx";
import { OfflineCopy } from "./offline-copy.tsx";
import { OtherMachines } from "./other-machines.tsx";
import { SignOut } from "./sign-out.tsx";

/** This browser's own ways, and the machine that served it. */
export function SettingsPage() {
	const status = useStatus(self);
	const onDevice = useCredential(self) !== undefined;
	return (
		<div className="page narrow">
			<header className="page-head">
				<h1>{t.title}</h1>
			</header>
			<Health status={status.data} />
			<Look />
			<Notifications />
			{onDevice && <NodeDevices />}
			<OtherMachines />
			{onDevice && <ChangePin />}
			{status.isLoading && <Skeletons count={3} height={40} label={t.about} />}
			{status.isError && status.data === undefined && (
				<ErrorNotice failure={status.error} onRetry={() => void status.refetch()} />
			)}
			{status.data !== undefined && <About status={status.data} />}
			{!onDevice && <SignOut />}
			<OfflineCopy />
		</div>
	);
}
