import { Fragment } from "react";
import { linksIn } from "./links.ts";

/** Text whose web addresses can be followed: each stands as what it leads to, under no other name. */
export function Linked({ text }: { text: string }) {
	return linksIn(text).map(({ at, text: part, href }) =>
		href === undefined ? (
			<Fragment key={at}>{part}</Fragment>
		) : (
			<a key={at} href={href} target="_blank" rel="noopener noreferrer nofollow">
				{part}
			</a>
		),
	);
}
