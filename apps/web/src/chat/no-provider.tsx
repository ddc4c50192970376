import { Copyable } from "../ui/copyable.tsx";
import { Notice } from "../ui/states.tsx";
import { t as ui } from "../ui/text.ts";
import { t } from "./text.ts";

/** What to do while no provider can be used. */
export function NoProvider() {
	return (
		<Notice title={t.noKeyTitle}>
			<span className="muted">{t.noKey}</span>
			<Copyable text={t.noKeyCommand} label={ui.values.command} block />
		</Notice>
	);
}
