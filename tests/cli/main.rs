//! What a user sees: standard output, standard error and the exit code of each verb, from the real program.

mod allocating;
mod authoring;
mod balancing;
mod changing;
#[path = "../support/clients.rs"]
mod clients;
mod containers;
mod control;
mod damage;
mod in_flight;
mod lab;
mod language;
mod limits;
#[path = "../support/nginx.rs"]
mod nginx;
mod owning;
mod reading;
mod rehearsing;
mod running;
mod saving;
mod schedules;
mod sizes;
mod state;
mod tools;
mod usage;
mod verbs;
mod waiting;
mod workloads;
