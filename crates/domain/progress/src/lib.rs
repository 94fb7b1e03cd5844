//! Live progress: operations with steps, messages and percent, and a resumable stream of their events.
