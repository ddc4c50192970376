//! Which addresses this window shows, and whose certificate it believes.
use tauri::Url;

/** The window's own page. */
#[cfg(windows)]
pub const HOME: &str = "http://tauri.localhost/index.html";
#[cfg(not(windows))]
pub const HOME: &str = "tauri://localhost/index.html";

/** A hub whose pages this window shows. */
#[derive(Clone)]
pub struct Hub {
    pub url: Url,
    /** PEM; none = what the system trusts. */
    pub ca: Option<String>,
}

#[derive(Debug, PartialEq)]
pub enum Place {
    Here,
    /** In the person's browser: this window has no address bar that would say where one is. */
    Browser,
    Nowhere,
}

pub fn place_of(url: &Url, hub: Option<&Hub>) -> Place {
    let home = Url::parse(HOME).expect("an address");
    if (url.scheme(), url.host_str(), url.port()) == (home.scheme(), home.host_str(), home.port()) {
        return Place::Here;
    }
    match url.scheme() {
        "http" | "https" if hub.is_some_and(|hub| hub.url.origin() == url.origin()) => Place::Here,
        "http" | "https" => Place::Browser,
        "about" | "blob" => Place::Here,
        _ => Place::Nowhere,
    }
}

pub fn open_in_browser(url: &Url) {
    #[cfg(target_os = "linux")]
    const OPENER: &[&str] = &["xdg-open"];
    #[cfg(target_os = "macos")]
    const OPENER: &[&str] = &["open"];
    #[cfg(windows)]
    const OPENER: &[&str] = &["rundll32", "url.dll,FileProtocolHandler"];
    let started = std::process::Command::new(OPENER[0]).args(&OPENER[1..]).arg(url.as_str()).spawn();
    if let Ok(mut child) = started {
        std::thread::spawn(move || child.wait());
    }
}

/**
 * Script for the hub's own pages: the session of this machine's sign-in, unless somebody is signed in there. Gives
 * nothing on any other origin.
 */
pub fn hand_over(hub: &Url, account: &serde_json::Value) -> String {
    let (origin, account) = (serde_json::json!(hub.origin().ascii_serialization()), account.to_string());
    let account = serde_json::json!(account);
    format!(
        "(() => {{ const key = 'warren.account.v1'; const kept = localStorage.getItem(key);
        if (location.origin !== {origin} || (kept !== null && kept !== 'null')) return;
        localStorage.setItem(key, {account});
        dispatchEvent(new StorageEvent('storage', {{ key }})); }})()"
    )
}

/** A certificate that the system does not know is believed where the hub's own CA vouches for it, name and dates included. */
#[cfg(target_os = "linux")]
pub fn trust(view: &webkit2gtk::WebView, hub: impl Fn() -> Option<Hub> + 'static, refused: impl Fn(Url) + 'static) {
    use gio::{TlsCertificate, TlsCertificateFlags, prelude::TlsCertificateExt};
    use webkit2gtk::{WebContextExt, WebViewExt};
    view.connect_load_failed_with_tls_errors(move |view, uri, shown, _| {
        let (Ok(url), Some(hub)) = (Url::parse(uri), hub()) else { return false };
        let ca = hub.ca.as_ref().and_then(|pem| TlsCertificate::from_pem(pem).ok());
        let (Some(ca), Some(host), Some(port)) = (ca, url.host_str(), url.port_or_known_default()) else {
            return false;
        };
        let name = gio::NetworkAddress::new(host.trim_matches(['[', ']']), port);
        let faults = shown.verify(Some(&name), Some(&ca));
        if place_of(&url, Some(&hub)) != Place::Here || faults != TlsCertificateFlags::empty() {
            refused(url);
            return true;
        }
        if let Some(context) = view.web_context() {
            context.allow_tls_certificate_for_host(shown, host);
            view.load_uri(uri);
        }
        true
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub() -> Hub {
        Hub { url: Url::parse("https://burrow.local:5151/").unwrap(), ca: None }
    }

    #[test]
    fn shows_its_own_page_and_the_hubs_and_nothing_else() {
        for (url, place) in [
            (HOME, Place::Here),
            ("https://burrow.local:5151/#device=AB", Place::Here),
            ("https://burrow.local/", Place::Browser),
            ("http://burrow.local:5151/", Place::Browser),
            ("https://burrow.local.evil.example:5151/", Place::Browser),
            ("http://burrow.local:5151@evil.example/", Place::Browser),
            ("tauri://evil/index.html", Place::Nowhere),
            ("file:///etc/passwd", Place::Nowhere),
            ("javascript:alert(1)", Place::Nowhere),
            ("data:text/html,x", Place::Nowhere),
        ] {
            assert_eq!(place_of(&Url::parse(url).unwrap(), Some(&hub())), place, "{url}");
        }
        assert_eq!(place_of(&hub().url, None), Place::Browser);
    }

    #[test]
    fn what_is_handed_over_stays_a_string_of_the_script() {
        let script = hand_over(&hub().url, &serde_json::json!({ "name": "a'\"</script>\\" }));
        assert!(script.contains(r#"location.origin !== "https://burrow.local:5151""#));
        assert!(script.contains(r#""{\"name\":\"a'\\\"</script>\\\\\"}""#), "{script}");
    }
}
