import { t } from "../pages/text/docs.ts";
import { initialsOf, type Present } from "./presence.ts";

const maxShown = 4;

/** Who has the document open, the first few as discs with initials. */
export function Avatars({ people }: { people: readonly Present[] }) {
	const names = people.map((each) => (each.self ? t.you(each.name) : each.name));
	return (
		<ul className="avatars" aria-label={t.here(names.join(", "))}>
			{people.slice(0, maxShown).map((each, index) => (
				<li key={each.clientId} className="avatar" style={{ backgroundColor: each.colour }} title={names[index]}>
					<span aria-hidden="true">{initialsOf(each.name)}</span>
					<span className="visually-hidden">{names[index]}</span>
				</li>
			))}
			{people.length > maxShown && (
				<li className="avatar more" title={names.slice(maxShown).join(", ")}>
					+{people.length - maxShown}
				</li>
			)}
		</ul>
	);
}
