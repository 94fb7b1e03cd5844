//! Lists of packages at pinned versions, installed once.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};

use super::packages::Install;

/// Where what was installed last is noted, so that the next run need not ask any registry.
const STAMP: &str = "installed.txt";

/// Installs what `list` names, unless exactly that is installed.
pub(crate) fn once(
    folder: &Path,
    list: &Path,
    install: Install,
    action: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let wanted = fs::read_to_string(list).with_context(|| format!("cannot read {}", list.display()))?;
    let stamp = folder.join(STAMP);
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    if install == Install::Never {
        bail!("not installed, and nothing is installed because of --no-install");
    }
    action()?;
    fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_installed_is_installed_once_until_the_list_changes() {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("requirements.txt");
        let mut runs = 0;
        for text in ["a==1\n", "a==1\n", "a==2\n"] {
            fs::write(&list, text).unwrap();
            once(folder.path(), &list, Install::Allowed, || {
                runs += 1;
                Ok(())
            })
            .unwrap();
        }
        assert_eq!(runs, 2);
        once(folder.path(), &list, Install::Never, || bail!("must not run")).unwrap();
    }

    #[test]
    fn a_failed_installation_is_tried_again_and_none_is_tried_when_it_must_not() {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("package.json");
        fs::write(&list, "{}").unwrap();
        once(folder.path(), &list, Install::Allowed, || bail!("no network")).unwrap_err();
        once(folder.path(), &list, Install::Never, || Ok(())).unwrap_err();
        once(folder.path(), &list, Install::Allowed, || Ok(())).unwrap();
    }
}
