import { App } from "./app.ts";
import { askToken } from "./dialogs.ts";
import { placeIcons } from "./dom.ts";
import { Notices } from "./notices.ts";
import { Progress } from "./progress.ts";
import { connect } from "./session.ts";
import { settings } from "./settings.ts";
import { applyTexts, setLanguage } from "./texts.ts";

setLanguage(settings.language.value);
document.documentElement.lang = settings.language.value;
placeIcons(document);
applyTexts(document);

const notices = new Notices();
const progress = new Progress(notices);
void start();

async function start(): Promise<void> {
    const connected = await connect(takeToken(), (state, again) => {
        progress.show(state, again.now);
        if (state.error?.status === 401) askToken(again.withToken);
    });
    await new App(connected, notices).start();
}

/** Takes the token out of the address, where it could be copied with a link. */
function takeToken(): string | null {
    const parameters = new URLSearchParams(location.hash.slice(1));
    const token = parameters.get("token");
    if (token === null) return null;
    parameters.delete("token");
    const rest = parameters.size > 0 ? `#${parameters}` : "";
    history.replaceState(null, "", location.pathname + location.search + rest);
    return token;
}
