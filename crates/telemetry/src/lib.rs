//! Logs and the Prometheus page; made from records, off the way of a call.
//!
//! [`logs`] decides where events go and how they look, [`records`] turns the record of each call into
//! a line of the log and into numbers, and [`metrics`] shows the numbers.

pub mod logs;
pub mod metrics;
mod process;
pub mod records;
