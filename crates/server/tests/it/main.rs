//! The program as its users meet it: a real process, over HTTP, on memory stores and on a real Redis.

mod acl;
mod acl_laws;
mod alerts;
mod brake;
mod cli;
mod crash;
mod degradation;
mod jobs;
mod keys;
mod outage;
mod plain_list;
mod policy;
mod queue_cli;
mod rolling_upgrade;
mod schedules;
mod service;
mod sessions;
mod sse;
mod tls;
mod tls_certificate;
mod traces;
mod workers;
