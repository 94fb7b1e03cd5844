//! The system's package manager, used only when this process may and says so.

use std::process::Command;
use std::sync::Once;

use anyhow::bail;

use super::no_services::NoServices;
use crate::command;

/// Whether anything may be installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Install {
    /// What is missing may be installed or downloaded.
    Allowed,
    /// Only what is there is used.
    Never,
}

/// A program and the packages that carry it: the first that can be installed is taken, because distributions that
/// replaced Redis by Valkey dropped the old name.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// What it is, for the messages.
    pub(crate) what: &'static str,
    /// Package names on Debian and Ubuntu.
    pub(crate) apt: &'static [&'static str],
    /// On Fedora and its relatives.
    pub(crate) dnf: &'static [&'static str],
    /// On Alpine.
    pub(crate) apk: &'static [&'static str],
    /// On Arch.
    pub(crate) pacman: &'static [&'static str],
    /// By Homebrew.
    pub(crate) brew: &'static [&'static str],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manager {
    Apt,
    Dnf,
    Apk,
    Pacman,
    Brew,
}

const MANAGERS: [Manager; 5] = [Manager::Apt, Manager::Dnf, Manager::Apk, Manager::Pacman, Manager::Brew];

/// The list of packages is brought up to date once.
static REFRESHED: Once = Once::new();

/// Installs `wanted` and answers whether that worked; says what it does, or why it does nothing.
pub(crate) fn install(wanted: &Wanted, install: Install) -> bool {
    if install == Install::Never {
        println!("{}: not found; nothing is installed because of --no-install", wanted.what);
        return false;
    }
    let Some(manager) = Manager::present() else {
        println!("{}: not found, and no package manager that this task knows", wanted.what);
        return false;
    };
    if manager.needs_root() != command::is_root() {
        println!("{}: not found; {} cannot be used by this user", wanted.what, manager.program());
        return false;
    }
    println!("{}: not found; the tests need it, so it is installed with {}", wanted.what, manager.program());
    match manager.install(wanted) {
        Ok(()) => true,
        Err(error) => {
            println!("{}: {error:#}", wanted.what);
            false
        }
    }
}

/// The line that installs `wanted` on this machine.
pub(crate) fn line_to_type(wanted: &Wanted) -> String {
    let manager = Manager::present().unwrap_or(Manager::Apt);
    let package = manager.packages(wanted).first().copied().unwrap_or(wanted.what);
    let sudo = if manager.needs_root() && !command::is_root() { "sudo " } else { "" };
    format!("{sudo}{} {} {package}", manager.program(), manager.install_words().join(" "))
}

// === impl Install ===

impl Install {
    /// From the flag `--no-install`.
    pub(crate) const fn from_flag(no_install: bool) -> Self {
        if no_install { Self::Never } else { Self::Allowed }
    }
}

// === impl Manager ===

impl Manager {
    fn present() -> Option<Self> {
        MANAGERS.into_iter().find(|manager| command::find(manager.program(), &[]).is_some())
    }

    const fn program(self) -> &'static str {
        match self {
            Self::Apt => "apt-get",
            Self::Dnf => "dnf",
            Self::Apk => "apk",
            Self::Pacman => "pacman",
            Self::Brew => "brew",
        }
    }

    const fn needs_root(self) -> bool {
        !matches!(self, Self::Brew)
    }

    const fn install_words(self) -> &'static [&'static str] {
        match self {
            Self::Apt => &["install", "-y", "--no-install-recommends"],
            Self::Dnf => &["install", "-y"],
            Self::Apk => &["add"],
            Self::Pacman => &["-S", "--noconfirm", "--needed"],
            Self::Brew => &["install"],
        }
    }

    /// How the list of packages is brought up to date, where installing does not do it.
    const fn refresh_words(self) -> Option<&'static [&'static str]> {
        match self {
            Self::Apt | Self::Apk => Some(&["update"]),
            Self::Pacman => Some(&["-Sy"]),
            Self::Dnf | Self::Brew => None,
        }
    }

    const fn packages(self, wanted: &Wanted) -> &'static [&'static str] {
        match self {
            Self::Apt => wanted.apt,
            Self::Dnf => wanted.dnf,
            Self::Apk => wanted.apk,
            Self::Pacman => wanted.pacman,
            Self::Brew => wanted.brew,
        }
    }

    fn command(self, words: &[&str]) -> Command {
        let mut command = Command::new(self.program());
        command.args(words).env("DEBIAN_FRONTEND", "noninteractive");
        command
    }

    /// A mirror that does not answer is no reason to stop: the package may be in the list already.
    fn refresh(self) {
        if let Some(words) = self.refresh_words()
            && let Err(error) = command::run(&mut self.command(words))
        {
            println!("{error:#}; going on with the list of packages as it is");
        }
    }

    fn install(self, wanted: &Wanted) -> anyhow::Result<()> {
        let _quiet = if self == Self::Apt { Some(NoServices::set()?) } else { None };
        REFRESHED.call_once(|| self.refresh());
        for package in self.packages(wanted) {
            match command::run(self.command(self.install_words()).arg(package)) {
                Ok(()) => return Ok(()),
                Err(error) => println!("{package}: {error:#}"),
            }
        }
        bail!("{} could not install it", self.program())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: Wanted = Wanted {
        what: "a server",
        apt: &["server-apt"],
        dnf: &["server-dnf", "server-old"],
        apk: &["server-apk"],
        pacman: &["server-pacman"],
        brew: &["server-brew"],
    };

    #[test]
    fn nothing_is_installed_when_it_must_not() {
        assert!(!install(&WANTED, Install::Never));
        assert_eq!(Install::from_flag(true), Install::Never);
    }

    #[test]
    fn no_package_manager_waits_for_an_answer() {
        for (manager, expected) in [
            (Manager::Apt, "apt-get install -y --no-install-recommends"),
            (Manager::Dnf, "dnf install -y"),
            (Manager::Apk, "apk add"),
            (Manager::Pacman, "pacman -S --noconfirm --needed"),
            (Manager::Brew, "brew install"),
        ] {
            assert_eq!(format!("{} {}", manager.program(), manager.install_words().join(" ")), expected);
            assert!(!manager.packages(&WANTED).is_empty());
        }
    }
}
