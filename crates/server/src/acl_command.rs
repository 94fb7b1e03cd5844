//! `trackside acl print`.

use anyhow::ensure;
use trackside_core::KeyPrefix;

use crate::{
    acl::Role,
    cli::acl::{AclCommand, Format, PrintArgs},
    config_command,
    failure::Failure,
    output,
};

/// Prints the users; what is missing in them is said on standard error.
pub(crate) fn run(command: &AclCommand) -> Result<(), Failure> {
    let AclCommand::Print(args) = command;
    let config = config_command::load(&args.settings.overrides()).map_err(Failure::settings)?.config;
    print(args, &KeyPrefix::new(config.redis.prefix))?;
    Ok(())
}

#[expect(clippy::print_stderr, reason = "standard output is for the users alone")]
fn print(args: &PrintArgs, prefix: &KeyPrefix) -> anyhow::Result<()> {
    let mut names = args.celery_queues.iter().map(String::as_str).chain([prefix.as_str()]);
    ensure!(
        !names.any(|name| name.contains(char::is_whitespace)),
        "access rules cannot name keys with white space in them"
    );
    let roles: &[Role] = if args.roles.is_empty() { &Role::ALL } else { &args.roles };
    let mut text = String::new();
    for role in roles {
        let password = std::env::var(role.password_variable()).ok().filter(|password| !password.is_empty());
        if password.is_none() {
            eprintln!("{} cannot log in: {} holds no password for it", role.user(), role.password_variable());
        }
        let verb = if args.format == Format::File { "user" } else { "ACL SETUSER" };
        let rules = role.rules(prefix, &args.celery_queues, password.as_deref());
        text.extend([verb, " ", role.user(), " ", rules.as_str(), "\n"]);
    }
    output::print(&text)
}
