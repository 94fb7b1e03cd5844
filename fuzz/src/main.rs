//! One target: by libFuzzer when it is built for it, else over the files that are named.

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
mod guided;

#[cfg(not(fuzzing))]
fn main() -> std::process::ExitCode {
    plain::run(std::env::args().skip(1))
}

#[cfg(not(fuzzing))]
mod plain {
    //! What `cargo run -p trackside-fuzz` does.

    use std::process::ExitCode;

    #[expect(clippy::print_stdout, reason = "it is a program for people")]
    pub(crate) fn run(mut arguments: impl Iterator<Item = String>) -> ExitCode {
        let targets = trackside_fuzz::targets();
        let Some(target) = arguments.next() else {
            targets.keys().for_each(|name| println!("{name}"));
            return ExitCode::SUCCESS;
        };
        let Some(run) = targets.get(target.as_str()) else {
            println!("there is no target {target}; without arguments, all are listed");
            return ExitCode::FAILURE;
        };
        for file in arguments {
            match std::fs::read(&file) {
                Ok(bytes) => run(&bytes),
                Err(error) => {
                    println!("{file}: {error}");
                    return ExitCode::FAILURE;
                }
            }
            println!("{file}: ok");
        }
        ExitCode::SUCCESS
    }
}
