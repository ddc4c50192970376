import { Copyable } from "../ui/copyable.tsx";
import { Notice } from "../ui/states.tsx";
import { t as ui } from "../ui/text.ts";
import { t } from "./text.ts";

/**
 * What to do while no provider can be used.
 * @param props.silent the one that could be, which names no model.
 */
export function NoProvider({ silent }: { silent?: string }) {
	return (
		<Notice title={silent === undefined ? t.noKeyTitle : t.noModelTitle(silent)}>
			<span className="muted">{silent === undefined ? t.noKey : t.noModel(silent)}</span>
			<Copyable text={t.noKeyCommand} label={ui.values.command} block />
		</Notice>
	);
}
