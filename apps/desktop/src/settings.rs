//! What the window remembers beside the session: which hub. The session itself is `login.json`, which `warren login` keeps.
use serde::{Deserialize, Serialize};
use std::{fs, io, io::Write, path::Path};

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Settings {
    /** As it was typed; empty = the cloud's. */
    pub hub: String,
    /** SHA-256 of the hub's CA, as it was typed; empty = the system vouches for it. */
    pub fingerprint: String,
}

/** The parts of `login.json` that a window needs. */
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Login {
    pub hub_url: String,
    /** PEM of the hub's CA; none = the system's. */
    pub ca: Option<String>,
    pub user_id: String,
    pub name: String,
    pub email: String,
    pub session_id: Option<String>,
    /** A secret. */
    pub token: String,
}

impl Settings {
    /** An unreadable file counts as none: the window asks again. */
    pub fn read(data: &Path) -> Self {
        parse(&data.join("desktop.json")).unwrap_or_default()
    }

    /** For this user alone, whole or not at all. */
    pub fn write(&self, data: &Path) -> io::Result<()> {
        make_folder(data)?;
        let draft = data.join("desktop.json.draft");
        let mut file = private_file(&draft)?;
        file.write_all(serde_json::to_string_pretty(self)?.as_bytes())?;
        file.sync_all()?;
        fs::rename(draft, data.join("desktop.json"))
    }
}

impl Login {
    pub fn read(data: &Path) -> Option<Self> {
        parse(&data.join("login.json"))
    }
}

fn parse<T: for<'a> Deserialize<'a>>(path: &Path) -> Option<T> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

#[cfg(unix)]
pub fn make_folder(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
}

#[cfg(not(unix))]
pub fn make_folder(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

fn private_file(path: &Path) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn folder(name: &str) -> std::path::PathBuf {
        std::env::temp_dir().join(format!("warren-desktop-{name}-{}", std::process::id()))
    }

    #[test]
    fn settings_come_back_and_are_this_users_alone() {
        let data = folder("settings");
        assert_eq!(Settings::read(&data), Settings::default());
        let settings = Settings { hub: "https://burrow.local:5151".into(), fingerprint: String::new() };
        settings.write(&data).unwrap();
        assert_eq!(Settings::read(&data), settings);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&data), mode(&data.join("desktop.json"))), (0o700, 0o600));
        fs::write(data.join("desktop.json"), "{\"hub\": ").unwrap();
        assert_eq!(Settings::read(&data), Settings::default());
        fs::remove_dir_all(data).unwrap();
    }

    #[test]
    fn a_login_of_an_earlier_version_is_one() {
        let data = folder("login");
        make_folder(&data).unwrap();
        assert!(Login::read(&data).is_none());
        let text = r#"{"hubUrl":"https://h","ca":null,"userId":"u","name":"Ada","email":"a@b","token":"t"}"#;
        fs::write(data.join("login.json"), text).unwrap();
        let login = Login::read(&data).unwrap();
        assert_eq!((login.hub_url.as_str(), login.session_id, login.token.as_str()), ("https://h", None, "t"));
        fs::remove_dir_all(data).unwrap();
    }
}
