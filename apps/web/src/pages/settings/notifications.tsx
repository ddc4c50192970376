import { useState } from "react";
import { self } from "../../api/machine.ts";
import { useCredential } from "../../api/warren.tsx";
import { startPush, stopPush } from "../../pwa/push.ts";
import { askForNotifications } from "../../shell/notifications.ts";
import { setPreferences, usePreferences } from "../../shell/preferences.ts";
import { Notice } from "../../ui/states.tsx";
import { t } from "../text/settings.ts";

export function Notifications() {
	const { notifications } = usePreferences();
	const [denied, setDenied] = useState(false);
	const [silent, setSilent] = useState(false);
	const onDevice = useCredential(self) !== undefined;
	if (!("Notification" in window)) return null;
	return (
		<section className="section" aria-labelledby="notifications">
			<header>
				<h2 id="notifications">{t.notifications}</h2>
				<p>{t.notificationsLead}</p>
			</header>
			<div className="card list settings">
				<label className="setting-line" htmlFor="notify">
					<span className="grow">{t.notificationsOn}</span>
					<input
						id="notify"
						type="checkbox"
						className="check"
						checked={notifications}
						onChange={async (event) => {
							const wanted = event.target.checked;
							const granted = wanted && (await askForNotifications());
							setDenied(wanted && !granted);
							setPreferences({ notifications: granted });
							if (!onDevice) return;
							if (granted) setSilent(!(await startPush().catch(() => false)));
							else await stopPush().catch(() => {});
						}}
					/>
				</label>
			</div>
			{silent && <p className="small muted">{t.notificationsOpen}</p>}
			{denied && <Notice tone="warn" title={t.notificationsDenied} />}
		</section>
	);
}
