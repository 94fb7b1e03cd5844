//! What the demo prints: a moving bar on a terminal, plain lines elsewhere.

use std::{
    io::{IsTerminal, Write},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Standard output, and whether somebody watches it.
#[derive(Debug)]
pub(crate) struct Screen {
    is_terminal: bool,
}

/// The progress of one job.
#[derive(Debug)]
pub(crate) struct Bar {
    /// `None` where a bar cannot move.
    bar: Option<ProgressBar>,
    /// The last line printed, so that a repeated one is left out.
    last: String,
}

// === impl Screen ===

impl Screen {
    pub(crate) fn new() -> Self {
        Self { is_terminal: std::io::stdout().is_terminal() }
    }

    /// A heading.
    pub(crate) fn title(&self, text: &str) -> anyhow::Result<()> {
        if self.is_terminal {
            self.line(&format!("\n\u{1b}[1m{text}\u{1b}[0m"))
        } else {
            self.line(&format!("\n{text}"))
        }
    }

    /// A line.
    pub(crate) fn line(&self, text: &str) -> anyhow::Result<()> {
        Ok(writeln!(std::io::stdout(), "{text}")?)
    }

    /// A bar at zero.
    pub(crate) fn bar(&self) -> anyhow::Result<Bar> {
        let bar = if self.is_terminal {
            let style = ProgressStyle::with_template("  [{bar:40}] {percent:>3} %  {msg}")?.progress_chars("=> ");
            let bar = ProgressBar::with_draw_target(Some(100), ProgressDrawTarget::stdout()).with_style(style);
            bar.enable_steady_tick(Duration::from_millis(100));
            Some(bar)
        } else {
            None
        };
        Ok(Bar { bar, last: String::new() })
    }
}

// === impl Bar ===

impl Bar {
    /// Shows where the job is.
    pub(crate) fn at(&mut self, percent: f64, message: &str) -> anyhow::Result<()> {
        match &self.bar {
            Some(bar) => {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 100")]
                bar.set_position(percent.clamp(0.0, 100.0) as u64);
                bar.set_message(message.to_owned());
            }
            None => {
                let line = format!("  {percent:>3.0} %  {message}");
                if line != self.last {
                    writeln!(std::io::stdout(), "{line}")?;
                    self.last = line;
                }
            }
        }
        Ok(())
    }

    /// Leaves the bar where it is.
    pub(crate) fn end(self) {
        if let Some(bar) = self.bar {
            bar.abandon();
        }
    }
}
