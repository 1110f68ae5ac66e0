//! What `cargo xtask bench` measures with: a fast upstream and a closed-loop load generator.
//!
//! Both must cost so little that what is between them shows. Neither knows anything of the gateway:
//! they speak plain MCP over HTTP, and every answer is checked, because a fast wrong answer is
//! worth nothing.

pub mod answer;
pub mod http1;
pub mod latency;
pub mod load;
pub mod park;
pub mod request;
pub mod upstream;
