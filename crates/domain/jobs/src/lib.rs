//! Tools and jobs: manifests, a runner for their commands, and the history of what ran.
