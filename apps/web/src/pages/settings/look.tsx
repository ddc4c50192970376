import { Minus, Plus } from "lucide-react";
import { fontSizes, setPreferences, usePreferences } from "../../shell/preferences.ts";
import { Segments } from "../../ui/field.tsx";
import { t } from "../text/settings.ts";

export function Look() {
	const { theme, terminalTheme, terminalFontSize, screenReader } = usePreferences();
	const setFont = (by: number) =>
		setPreferences({ terminalFontSize: Math.min(fontSizes.max, Math.max(fontSizes.min, terminalFontSize + by)) });
	return (
		<section className="section" aria-labelledby="look">
			<header>
				<h2 id="look">{t.look}</h2>
			</header>
			<ul className="card list settings">
				<li>
					<span className="grow">{t.theme}</span>
					<Segments
						label={t.theme}
						value={theme}
						options={[
							["system", t.themes.system],
							["light", t.themes.light],
							["dark", t.themes.dark],
						]}
						onChange={(next) => setPreferences({ theme: next })}
					/>
				</li>
				<li>
					<span className="grow">
						{t.terminal}: {t.terminalTheme.toLowerCase()}
					</span>
					<Segments
						label={t.terminalTheme}
						value={terminalTheme}
						options={[
							["match", t.terminalThemes.match],
							["light", t.terminalThemes.light],
							["dark", t.terminalThemes.dark],
						]}
						onChange={(next) => setPreferences({ terminalTheme: next })}
					/>
				</li>
				<li>
					<span className="grow">
						{t.terminal}: {t.fontSize.toLowerCase()}
					</span>
					<button type="button" className="icon-button" aria-label={t.smaller} onClick={() => setFont(-1)}>
						<Minus size={16} />
					</button>
					<output className="font-size">{terminalFontSize} px</output>
					<button type="button" className="icon-button" aria-label={t.larger} onClick={() => setFont(1)}>
						<Plus size={16} />
					</button>
				</li>
				<li>
					<label className="grow row" htmlFor="screen-reader">
						<span className="grow">{t.screenReader}</span>
						<input
							id="screen-reader"
							type="checkbox"
							className="check"
							checked={screenReader}
							onChange={(event) => setPreferences({ screenReader: event.target.checked })}
						/>
					</label>
				</li>
			</ul>
		</section>
	);
}
